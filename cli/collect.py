"""`weighbridge collect`: settle what interrupted runs left with the provider."""

import json
import time
from typing import Annotated

import typer

from cli.in_flow import result_of
from cli.options import JsonOption, LedgerOption, require_ledger
from cli.show_report import print_report
from flows.collect_batches import collect_batches
from schemas.report import RunReport
from schemas.settings import Settings
from services.gateway import client_for

_WAIT_SECONDS = 5


def collect(
    ledger: LedgerOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every batch has ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Settle the batches that interrupted runs left with the provider, and finish those runs."""
    url = ledger or Settings().ledger_url
    require_ledger(url)
    client_for()
    reports, left = result_of(collect_batches, url)
    while wait and left:
        time.sleep(_WAIT_SECONDS)
        more, left = result_of(collect_batches, url)
        reports += more
    if as_json:
        finished = [report.model_dump(mode="json") for report in reports]
        print(json.dumps({"runs": finished, "batches_still_out": left}))
    else:
        _print_reports(reports, left)


def _print_reports(reports: list[RunReport], left: int) -> None:
    for report in reports:
        print_report(report)
    print(f"{len(reports)} run(s) finished; {left} batch(es) still with the provider.")
