"""`weighbridge review holds`."""

import json
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from cli.options import JsonOption, LedgerOption, opened_ledger
from cli.screen import screen, shown_most
from schemas.money import usd_text
from schemas.review import UnknownHold
from schemas.words import printable
from services.ledger import reviews


def list_holds(ledger: LedgerOption = None, as_json: JsonOption = False) -> None:
    """List the money that is held for attempts of unknown outcome.

    Each keeps its hold until somebody books what it cost, whether its job has a review or not.
    """
    opened = opened_ledger(ledger)
    holds = reviews.unknown_holds(opened)
    if as_json:
        print(json.dumps([_as_json(hold) for hold in holds]))
    elif holds:
        _print_holds(holds)
        total = shown_most(sum(hold.held for hold in holds))
        print(f"{len(holds):,} attempt(s), {total} held in total.")
        print("`weighbridge review book --attempt ID` with --billed USD or --not-billed ends a hold.")
    else:
        print(f"No money is held for an attempt of unknown outcome in {opened.url}.")


def _as_json(hold: UnknownHold) -> dict[str, str | int | None]:
    return {
        "attempt": hold.attempt_id,
        "job": hold.job_id,
        "run": hold.run_id,
        "model": hold.model,
        "held_usd": usd_text(hold.held),
        "since": None if hold.since is None else hold.since.isoformat(),
        "review": hold.review_id,
    }


def _print_holds(holds: Sequence[UnknownHold]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("attempt", "job", "run", "model"):
        table.add_column(heading)
    table.add_column("held", justify="right")
    for heading in ("since", "review"):
        table.add_column(heading)
    for hold in holds:
        since = "" if hold.since is None else f"{hold.since:%Y-%m-%d %H:%M}"
        review = "" if hold.review_id is None else str(hold.review_id)
        cells = (hold.attempt_id, hold.job_id, hold.run_id, hold.model, shown_most(hold.held), since, review)
        table.add_row(*(escape(printable(cell)) for cell in cells))
    screen().print(table)
