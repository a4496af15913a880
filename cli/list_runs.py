"""`weighbridge runs`."""

import json
from typing import Annotated, Any

import typer

from cli.options import JsonOption, LedgerOption, looked_at
from cli.screen import print_table, screen, shown_most, shown_usd
from rules.ended_as import stands_as
from schemas.forms.bounds import MOST_WHOLE
from schemas.looked_up import RunLine
from schemas.money import usd_text
from schemas.words import masked_url, printable
from services.ledger.look_up import latest_runs

_HEADINGS = ("run", "started (UTC)", "file", "mode", "outcome", ">jobs", ">spent", ">held")


def list_runs(
    limit: Annotated[int, typer.Option(min=1, max=MOST_WHOLE, help="Show at most this many.")] = 20,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs on record, the newest first: file, mode, outcome, jobs and USD."""
    url = looked_at(ledger)
    runs = latest_runs(url, limit)
    if as_json:
        print(json.dumps([run_values(run) for run in runs]))
    elif runs:
        print_table(screen(200), _HEADINGS, [_cells(run) for run in runs])
    else:
        print(f"The ledger {masked_url(url)} has no runs yet.")


def run_values(run: RunLine) -> dict[str, Any]:
    """A run as JSON values: moments as ISO 8601, money as USD."""
    values = run._asdict() | {"ended_as": stands_as(run)}
    del values["report"], values["is_left"]
    for name in ("started_at", "ended_at"):
        values[name] = values[name] and values[name].isoformat()
    for name in ("spent", "held"):
        nano = values.pop(f"{name}_nano_usd")
        values[f"{name}_usd"] = None if nano is None else usd_text(nano)
    return values


def _cells(run: RunLine) -> tuple[str, ...]:
    mode = f"{run.mode} (simulated)" if run.simulated else run.mode
    jobs = "" if run.jobs is None else f"{run.jobs:,}"
    return (
        run.run_id,
        f"{run.started_at:%Y-%m-%d %H:%M}",
        printable(run.jobs_path),
        mode,
        stands_as(run),
        jobs,
        shown_usd(run.spent_nano_usd),
        shown_most(run.held_nano_usd or None),
    )
