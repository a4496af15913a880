"""`weighbridge review accept`."""

import json

from cli.options import JsonOption, LedgerOption, at_ledger, opened_ledger
from cli.review.review_options import (
    AttemptOption,
    BilledOption,
    ByOption,
    IdOrAttemptArgument,
    NotBilledOption,
    billed_of,
    reviewer_name,
)
from schemas.errors import BadInput
from schemas.money import NanoUsd, usd_text
from services.ledger import reviews


def accept(
    review: IdOrAttemptArgument = None,
    attempt: AttemptOption = None,
    billed: BilledOption = None,
    not_billed: NotBilledOption = False,
    by: ByOption = None,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make what came and could not be read the answer of its job.

    What it cost is booked, its hold ends, and the job is not sent again.
    """
    cost = billed_of(billed, "accepted", not_billed=not_billed) or NanoUsd(0)
    match review, attempt:
        case int(), None:
            what = f"Review {review}"
            attempt_id, held = reviews.accept(opened_ledger(ledger), review, reviewer_name(by), cost)
        case None, str():
            what = f"Attempt {attempt}"
            attempt_id, held = reviews.accept_attempt(opened_ledger(ledger), attempt, reviewer_name(by), cost)
        case _:
            raise BadInput("Name either the id of a review or --attempt; nothing was accepted.")
    held_usd, billed_usd = usd_text(held), usd_text(cost)
    if as_json:
        shown = {"review": review, "attempt": attempt_id, "held_usd": held_usd, "billed_usd": billed_usd}
        print(json.dumps(shown))
        return
    print(
        f"{what}: the raw answer of {attempt_id} is the answer of its job; {billed_usd} USD booked, and the "
        f"hold of {held_usd} USD ended. "
        + at_ledger("`weighbridge collect` writes the results of its run again.", ledger)
    )
