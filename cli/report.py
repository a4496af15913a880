"""`weighbridge report [RUN]`."""

from typing import Annotated

import typer

from cli.options import LedgerOption
from cli.show_report import print_report
from schemas.errors import BadInput
from schemas.report import RunReport
from schemas.settings import Settings
from services.ledger import open_ledger, runs


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("report")(report)


def report(
    run: Annotated[str | None, typer.Argument(help="A run id; left out: the latest run.")] = None,
    ledger: LedgerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Show the report of a run."""
    opened = open_ledger(ledger or Settings().ledger_url)
    found = runs.find(opened, run)
    if found is None:
        raise BadInput(f"The ledger {opened.url} has no run{f' {run}' if run else ''}.")
    if found.report is None:
        state = "is still under way" if found.ended_at is None else "ended early and has no report"
        raise BadInput(f"Run {found.run_id} {state}; its jobs are in the ledger's table jobs.")
    parsed = RunReport.model_validate(found.report)
    if as_json:
        print(parsed.model_dump_json())
    else:
        print_report(parsed)
