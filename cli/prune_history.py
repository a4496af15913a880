"""`weighbridge prune-history`."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from cli.options import LedgerOption
from cli.screen import screen
from schemas.errors import BadInput
from schemas.settings import Settings
from services.ledger import open_ledger, pruning

_MOST_DAYS = 36_500
#: what became of the rows, by the names that pruning counts them under
_MEANINGS = {
    "responses": "answers; the result files keep theirs",
    "payloads": "requests of rows that have ended",
    "jobs": "input rows of runs that ended; their result files say the same",
    "failed attempts": "tries that were not billed",
    "attempts rolled up": "summed into the table history; such a job may be paid for again",
    "attempts stripped": "paid for, and kept so; only their raw usage and request id go",
    "counts": "weights, which are free to have again",
    "reviews": "sent or expired",
    "review events": "their changes",
    "review payloads": "of reviews that stay: rejected, or sent as edited",
    "batches": "that ended",
    "budgets": "windows of runs; those of days and months stay",
    "runs": "with nothing left on record, and their reports",
}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("prune-history")(prune_history)


def prune_history(
    older_than: Annotated[
        int, typer.Option(min=1, max=_MOST_DAYS, metavar="DAYS", help="Of runs that ended so many days ago.")
    ] = 90,
    attempts_older_than: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_DAYS,
            metavar="DAYS",
            help="Also sum attempts that succeeded so many days ago into the table history and delete them. A job "
            "forgotten so may be paid for again. At least --older-than; left out: none.",
        ),
    ] = None,
    ledger: LedgerOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    vacuum: Annotated[
        bool,
        typer.Option("--vacuum", help="Give the room back to the disk (SQLite); runs wait for it meanwhile."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Delete old answers, payloads and rows from the ledger.

    Never what is open, of unknown outcome, or waits for a person; and a job that succeeded is not paid for again,
    unless --attempts-older-than says so. A run may be under way.
    """
    if attempts_older_than is not None and attempts_older_than < older_than:
        raise BadInput(
            f"--attempts-older-than {attempts_older_than} is less than --older-than {older_than}: an attempt is on "
            "record at least as long as its answer. Nothing was pruned."
        )
    if dry_run and vacuum:
        raise BadInput(
            "--vacuum changes the ledger file and --dry-run changes nothing; leave one of them out."
        )
    now = datetime.now(UTC)
    before = now - timedelta(days=older_than)
    forget_before = None if attempts_older_than is None else now - timedelta(days=attempts_older_than)
    opened = open_ledger(ledger or Settings().ledger_url)
    pruned = pruning.prune(opened, before, forget_before, dry_run=dry_run)
    room = pruning.compact(opened) if vacuum else None
    if as_json:
        print(
            json.dumps(
                {
                    "dry_run": dry_run,
                    "before": before.isoformat(),
                    "attempts_before": forget_before and forget_before.isoformat(),
                    "rows": {name.replace(" ", "_"): rows for name, rows in pruned.items()},
                    "bytes_before": room and room[0],
                    "bytes_after": room and room[1],
                }
            )
        )
        return
    _print(pruned, "would go" if dry_run else "gone")
    print(f"{opened.url}: what ended before {before:%Y-%m-%d %H:%M} UTC.")
    if room:
        print(f"Compacted from {room[0]:,} to {room[1]:,} bytes.")


def _print(pruned: dict[str, int], heading: str) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("rows")
    table.add_column(heading, justify="right")
    table.add_column("what they are")
    for name, rows in pruned.items():
        table.add_row(name, f"{rows:,}", _MEANINGS[name])
    screen().print(table)
