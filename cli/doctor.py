"""`weighbridge doctor`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, PolicyOption, ResultsOption
from schemas.checkup import CheckState, Diagnosis
from schemas.ledger_place import ledger_url_of
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.settings import Settings
from tasks.examine import Installation, examine

_MARKS = {CheckState.OK: "ok ", CheckState.OFF: "OFF", CheckState.NOT_MADE: " - "}


def doctor(
    ledger: LedgerOption = None,
    policy: PolicyOption = None,
    results: ResultsOption = None,
    base_url: Annotated[
        str | None,
        typer.Option(help="The API's address; when left out, ANTHROPIC_BASE_URL or Anthropic's own."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether everything is ready for a night, and what to do about what is not.

    Nothing is written and nothing is paid. The exit code is 0 when nothing is off, 4 when something is, and 2 for bad
    arguments. A check that cannot be made says so.
    """
    settings = Settings()
    here = Installation(
        policy=policy or settings.policy,
        ledger_url=ledger_url_of(ledger),
        results=results or Path(settings.results),
        base_url=base_url,
    )
    found = asyncio.run(examine(here))
    if as_json:
        print(found.model_dump_json(ensure_ascii=True))
    else:
        for check in found.checks:
            print(_line(check))
    raise typer.Exit(EXIT_CODES[RunOutcome.COMPLETE if found.ok else RunOutcome.INCOMPLETE])


def _line(check: Diagnosis) -> str:
    advice = f" To do: {check.what_to_do}" if check.what_to_do else ""
    return f"{_MARKS[check.state]}  {check.name:<11}  {check.found}.{advice}"
