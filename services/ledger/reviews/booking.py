"""Booking what an attempt of unknown outcome cost, once a person has looked it up: its hold ends."""

from datetime import UTC, datetime

from sqlalchemy import insert, select

from rules.endings import booked
from schemas.errors import BadInput
from schemas.job import AttemptId
from schemas.ledger import AttemptRow, ReviewEventRow, ReviewRow
from schemas.money import NanoUsd, usd_text
from schemas.outcome import AttemptState
from services.ledger.reviews.deciding import checked_name
from services.ledger.settle import settle
from services.ledger.store import Ledger


def book(ledger: Ledger, review_id: int, by: str, billed: NanoUsd | None) -> NanoUsd:
    """End the holds of a job's attempts of unknown outcome.

    Whether the job is sent again is another question, which approving and rejecting answer; a job that was billed
    must be decided about first, because an undecided one is sent again once nothing of it is unknown.

    Args:
        ledger: the ledger.
        review_id: the review.
        by: who looked it up.
        billed: nano-USD that the provider billed; None: nothing, surely.

    Returns:
        What was held for it, in nano-USD.

    Raises:
        BadInput: there is no such attempt, more than one that was billed, or the figure cannot be.
    """
    name = checked_name(by)
    with ledger.write() as connection:
        review = connection.execute(
            select(
                ReviewRow.job_id, ReviewRow.status, ReviewRow.fingerprint, ReviewRow.edited_fingerprint
            ).where(ReviewRow.id == review_id)
        ).first()
        if review is None:
            raise BadInput(f"There is no review {review_id} in {ledger.url}; nothing was booked.")
        unknown = connection.execute(
            select(AttemptRow.attempt_id, AttemptRow.held_nano_usd)
            .where(
                AttemptRow.job_id == review.job_id,
                AttemptRow.fingerprint.in_([review.fingerprint, review.edited_fingerprint]),
                AttemptRow.state == AttemptState.UNKNOWN,
            )
            .order_by(AttemptRow.opened_at)
        ).all()
        if not unknown:
            raise BadInput(f"Review {review_id} has no attempt of unknown outcome; nothing was booked.")
        held = NanoUsd(sum(attempt.held_nano_usd for attempt in unknown))
        if billed is not None:
            if review.status in ("pending", "claimed", "expired"):
                raise BadInput(
                    f"Review {review_id} is {review.status}: approve it (it is sent again) or reject it (it is not) "
                    "before you book what was billed. Nothing was booked."
                )
            if billed > held:
                raise BadInput(
                    f"{usd_text(billed)} USD is more than the {usd_text(held)} USD held for it, which is the most it "
                    "can have cost. Look again; nothing was booked."
                )
        words = "it was not billed" if billed is None else f"it was billed {usd_text(billed)} USD"
        left = billed or 0
        ends = []
        for attempt in unknown:
            cost = min(left, attempt.held_nano_usd)
            left -= cost
            ends.append(booked(AttemptId(attempt.attempt_id), NanoUsd(cost), name, words))
        settle(connection, ends)
        connection.execute(
            insert(ReviewEventRow).values(
                review_id=review_id,
                at=datetime.now(UTC),
                by=name,
                from_status=review.status,
                to_status=review.status,
                note=f"{len(ends)} attempt(s) booked: {words}",
            )
        )
    return held
