"""`weighbridge review accept`."""

import json
from decimal import Decimal
from typing import Annotated

import typer

from cli.options import JsonOption, LedgerOption, opened_ledger, usd_amount
from cli.review.review_options import ByOption, IdArgument, reviewer_name
from schemas.errors import BadInput
from schemas.money import to_nano, usd_text
from services.ledger import reviews


def accept(
    review: IdArgument,
    billed: Annotated[str | None, typer.Option(help="What the provider billed for it, in USD.")] = None,
    not_billed: Annotated[
        bool, typer.Option("--not-billed", help="The provider surely billed nothing for it.")
    ] = False,
    by: ByOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make what came and could not be read the answer of its job.

    What it cost is booked, its hold ends, and the job is not sent again.
    """
    amount = usd_amount(billed, "--billed")
    if (amount is None) != not_billed:
        raise BadInput("Use either --billed USD or --not-billed; nothing was accepted.")
    cost = to_nano(amount or Decimal(0))
    attempt_id, held = reviews.accept(opened_ledger(ledger), review, reviewer_name(by), cost)
    held_usd, billed_usd = usd_text(held), usd_text(cost)
    if as_json:
        shown = {"review": review, "attempt": attempt_id, "held_usd": held_usd, "billed_usd": billed_usd}
        print(json.dumps(shown))
        return
    print(
        f"Review {review}: the raw answer of {attempt_id} is the answer of its job; {billed_usd} USD booked, and the "
        f"hold of {held_usd} USD ended. `weighbridge collect` writes the results of its run again."
    )
