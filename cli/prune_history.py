"""`weighbridge prune-history`."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, opened_ledger
from cli.screen import print_table, screen
from schemas.errors import BadInput
from services.ledger import pruning

_MOST_DAYS = 36_500
#: what the rows are, by the names that pruning counts them under
_MEANINGS = {
    "responses": "answers; the result files keep theirs",
    "payloads": "requests of rows that have ended",
    "fitted jobs": "what pruning and downgrading did to jobs that go too",
    "jobs": "input rows of ended runs; the result files have the same",
    "failed attempts": "attempts that were not billed",
    "attempts rolled up": "summed into the table history; such a job may be paid for again",
    "attempts stripped": "they stay as paid; only their raw usage and request id go",
    "counts": "weights, which can be counted again for free",
    "reviews": "sent or expired",
    "review events": "the changes of reviews",
    "review payloads": "of reviews that stay because they were rejected, or sent as edited",
    "batches": "that ended",
    "budgets": "windows of runs; those of days and months stay",
    "runs": "of which nothing is left, and their reports",
}


def prune_history(
    older_than: Annotated[
        int,
        typer.Option(
            min=1, max=_MOST_DAYS, metavar="DAYS", help="Prune runs that ended more than this many days ago."
        ),
    ] = 90,
    attempts_older_than: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_DAYS,
            metavar="DAYS",
            help="Also delete attempts that succeeded more than this many days ago, after summing them into the "
            "table history. Such a job may be paid for again. At least --older-than; when left out, none.",
        ),
    ] = None,
    ledger: LedgerOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be pruned.")] = False,
    vacuum: Annotated[
        bool,
        typer.Option("--vacuum", help="Then shrink the SQLite file; runs wait until that is done."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old answers, payloads and rows from the ledger.

    Jobs that are open, have an unknown outcome or wait for a person stay. A job that succeeded is still not paid for
    again, unless --attempts-older-than deletes its attempt. A run may be in progress meanwhile.
    """
    if attempts_older_than is not None and attempts_older_than < older_than:
        raise BadInput(
            f"--attempts-older-than {attempts_older_than} is less than --older-than {older_than}: an attempt is on "
            "record at least as long as its answer. Nothing was pruned."
        )
    if dry_run and vacuum:
        raise BadInput(
            "--vacuum changes the ledger file and --dry-run changes nothing; leave one of them out. Nothing was pruned."
        )
    now = datetime.now(UTC)
    before = now - timedelta(days=older_than)
    forget_before = None if attempts_older_than is None else now - timedelta(days=attempts_older_than)
    opened = opened_ledger(ledger)
    pruned = pruning.prune(opened, before, forget_before, dry_run=dry_run)
    sizes = pruning.compact(opened) if vacuum else None
    if as_json:
        _print_json(pruned, before, forget_before, sizes, dry_run=dry_run)
        return
    _print_table(pruned, dry_run=dry_run)
    print(f"{opened.url}: what ended before {before:%Y-%m-%d %H:%M} UTC.")
    if sizes:
        print(f"Shrunk from {sizes[0]:,} to {sizes[1]:,} bytes.")


def _print_json(
    pruned: dict[str, int],
    before: datetime,
    forget_before: datetime | None,
    sizes: tuple[int, int] | None,
    *,
    dry_run: bool,
) -> None:
    bytes_before, bytes_after = sizes or (None, None)
    shown = {
        "dry_run": dry_run,
        "before": before.isoformat(),
        "attempts_before": forget_before and forget_before.isoformat(),
        "rows": {name.replace(" ", "_"): rows for name, rows in pruned.items()},
        "bytes_before": bytes_before,
        "bytes_after": bytes_after,
    }
    print(json.dumps(shown))


def _print_table(pruned: dict[str, int], *, dry_run: bool) -> None:
    heading = ">would be pruned" if dry_run else ">pruned"
    rows = [(name, f"{number:,}", _MEANINGS[name]) for name, number in pruned.items()]
    print_table(screen(), ("rows", heading, "what they are"), rows)
