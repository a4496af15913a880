"""`weighbridge review list`."""

import json
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.options import JsonOption, LedgerOption, looked_at
from cli.review.review_options import with_filter
from cli.review.review_values import as_json_values, totals_sentence
from cli.screen import screen, shown_most, shown_tokens
from schemas.forms.bounds import MOST_WHOLE
from schemas.review import Filter, Order, Review
from schemas.words import masked_url, printable
from services.ledger.asking import asking
from services.ledger.review_lines import listed_by, totals_by


@with_filter
def list_reviews(
    which: Filter,
    limit: Annotated[int, typer.Option(min=1, max=MOST_WHOLE, help="Show at most this many.")] = 50,
    order: Annotated[Order, typer.Option(help="Which to show first.")] = Order.LATEST,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs that wait for a person."""
    url = looked_at(ledger)
    with asking(url) as ask:
        rows = listed_by(ask, which, limit=limit, offset=0, order=order)
        total = totals_by(ask, which)
    if as_json:
        print(json.dumps([as_json_values(row) for row in rows]))
    elif rows:
        _print_list(rows)
        print(totals_sentence(total))
    else:
        kind = f"{which.status} review" if which.status else "review"
        print(f"No {kind} matches in {masked_url(url)}.")


def _print_list(rows: Iterable[Review]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("id", "job", "reason", "model"):
        table.add_column(heading)
    for heading in ("tokens", "worst case"):
        table.add_column(heading, justify="right")
    for heading in ("detail", "status"):
        table.add_column(heading)
    for row in rows:
        status = f"{row.status} ({row.claimed_by})" if row.status == "claimed" else row.status
        cells = (
            str(row.id),
            row.job_id,
            row.reason,
            row.model or "",
            shown_tokens(row.input_tokens),
            shown_most(row.worst_case_nano_usd),
            row.detail,
            status,
        )
        table.add_row(*(escape(printable(cell)) for cell in cells))
    screen().print(table)
