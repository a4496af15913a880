"""`weighbridge collect`: settle what interrupted runs left with the provider."""

import json
import time
from typing import Annotated

import typer

from cli.in_flow import result_of
from cli.options import JsonOption, LedgerOption, require_tables
from cli.show_report import print_report
from flows.collect_batches import collect_batches
from schemas.batch import Collection
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
    require_tables(url)
    client_for()
    last = result_of(collect_batches, url)
    reports = list(last.reports)
    # waiting brings nothing of another endpoint or workspace
    while wait and last.still_out > last.elsewhere:
        time.sleep(_WAIT_SECONDS)
        last = result_of(collect_batches, url)
        reports += last.reports
    if as_json:
        finished = [report.model_dump(mode="json") for report in reports]
        figures = {"batches_still_out": last.still_out, "batches_elsewhere": last.elsewhere}
        print(json.dumps({"runs": finished} | figures))
    else:
        _print_reports(reports, last)


def _print_reports(reports: list[RunReport], last: Collection) -> None:
    for report in reports:
        print_report(report)
    print(f"{len(reports)} run(s) finished; {last.still_out} batch(es) still with the provider.")
    if last.elsewhere:
        print(
            f"{last.elsewhere} of them belong to another endpoint or workspace: run `weighbridge collect` with its "
            "ANTHROPIC_BASE_URL and key."
        )
