"""`weighbridge review list`."""

import json
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, looked_at
from cli.review.review_options import with_filter
from cli.review.review_values import as_json_values, totals_sentence
from cli.screen import print_table, screen, shown_most, shown_tokens
from schemas.forms.bounds import MOST_WHOLE
from schemas.review import Filter, Order, Review
from schemas.words import masked_url
from services.ledger.asking import asking
from services.ledger.review_lines import listed_by, totals_by

_HEADINGS = ("id", "job", "reason", "model", ">tokens", ">worst case", "detail", "status")


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
        print_table(screen(), _HEADINGS, [_cells(row) for row in rows])
        print(totals_sentence(total))
    else:
        kind = f"{which.status} review" if which.status else "review"
        print(f"No {kind} matches in {masked_url(url)}.")


def _cells(row: Review) -> tuple[str, ...]:
    status = f"{row.status} ({row.claimed_by})" if row.status == "claimed" else row.status
    return (
        str(row.id),
        row.job_id,
        row.reason,
        row.model or "",
        shown_tokens(row.input_tokens),
        shown_most(row.worst_case_nano_usd),
        row.detail,
        status,
    )
