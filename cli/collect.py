"""`weighbridge collect`: settle what interrupted runs left with the provider."""

import json
import time
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer

from cli.in_flow import result_of
from cli.options import JsonOption, LedgerOption, opened_ledger
from cli.show_report import print_report
from flows.collect_batches import collect_batches
from rules.collection_text import collection_text
from schemas.batch import Collection
from schemas.ledger_place import ledger_url_of
from services.gateway import client_for
from services.ledger.left_behind import is_something_left

_WAIT_SECONDS = 5


def collect(
    ledger: LedgerOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every batch has ended.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Settle the batches that interrupted runs left with the provider, and finish those runs."""
    url = ledger_url_of(ledger)
    last, reports = Collection(nothing_left=True), []
    if _has_work(url):
        client_for()
        last = result_of(collect_batches, url)
        reports = list(last.reports)
    # waiting brings nothing of another endpoint or workspace
    while wait and last.still_out > last.elsewhere:
        time.sleep(_WAIT_SECONDS)
        last = result_of(collect_batches, url)
        reports += last.reports
    whole = replace(last, reports=reports, nothing_left=last.nothing_left and not reports)
    if as_json:
        finished = [report.model_dump(mode="json") for report in reports]
        figures = {"batches_still_out": last.still_out, "batches_elsewhere": last.elsewhere}
        print(json.dumps({"runs": finished} | figures))
    else:
        for report in reports:
            print_report(report)
        print(collection_text(whole))


def _has_work(url: str) -> bool:
    """Whether something is left to be collected; else neither a key nor a Prefect server is needed to say so."""
    with closing(opened_ledger(url)) as opened:
        return is_something_left(opened)
