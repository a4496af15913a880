"""`weighbridge report [RUN]`."""

from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, at_ledger, looked_at
from cli.show_report import print_report
from schemas.errors import BadInput
from schemas.report import RunReport
from schemas.words import masked_url
from services.ledger.look_up import latest_report


def report(
    run: Annotated[str | None, typer.Argument(help="A run id; the latest run when left out.")] = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the report of a run."""
    found = _report_of(looked_at(ledger), run, ledger)
    if as_json:
        print(found.model_dump_json(ensure_ascii=True))
    else:
        print_report(found)


def _report_of(url: str, run_id: str | None, ledger: str | None) -> RunReport:
    """The report of one run, or of the latest.

    Raises:
        BadInput: there is no such run, or it has no report.
    """
    found = latest_report(url, run_id)
    if found is None:
        name = f"run {run_id}; `weighbridge runs` lists those there are" if run_id is not None else "runs yet"
        raise BadInput(at_ledger(f"The ledger {masked_url(url)} has no {name}.", ledger))
    if found.report is None:
        state = "has not ended yet" if found.ended_at is None else "ended early and has no report"
        raise BadInput(f"Run {found.run_id} {state}; its jobs are in the table jobs of the ledger.")
    return RunReport.model_validate(found.report)
