"""`weighbridge verify`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, ledger_to_read
from schemas.errors import BadInput
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.verification import CheckFinding
from services.ledger.verify import verify as verified


def verify(
    ledger: LedgerOption = None,
    results: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder that the runs' result folders are in; when left out, where each run wrote.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the ledger from its rows and files, and say what does not agree.

    Nothing is written, and a run may be in progress meanwhile. The exit code is 0 when every check holds, 4 when one
    does not, 2 for bad arguments, and 1 when the ledger does not answer.
    """
    if results is not None and not results.is_dir():
        raise BadInput(f"There is no folder {results.absolute()}. Nothing was verified.")
    found = verified(ledger_to_read(ledger), results)
    if as_json:
        print(found.model_dump_json(ensure_ascii=True))
    else:
        for check in found.checks:
            print(_line(check))
    raise typer.Exit(EXIT_CODES[RunOutcome.COMPLETE if found.ok else RunOutcome.INCOMPLETE])


def _line(check: CheckFinding) -> str:
    mark = "ok " if check.ok else "OFF"
    advice = f" To do: {check.what_to_do}" if check.what_to_do else ""
    return f"{mark}  {check.name:<9}  {check.found}.{advice}"
