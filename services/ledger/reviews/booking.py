"""Booking what an attempt of unknown outcome cost, once a person has looked it up: its hold ends.

Whether the job is sent again is another question, which approving and rejecting answer; a job that was billed must be
decided about first, because an undecided one is sent again once nothing of it is unknown.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, insert, select

from rules.endings import booked
from rules.over_hold import over_hold
from schemas.attempt import Settlement
from schemas.errors import BadInput
from schemas.job import AttemptId
from schemas.ledger import AttemptRow, ResponseRow
from schemas.money import NanoUsd, usd_text
from schemas.outcome import WAITING_STATUSES, AttemptState, ReviewStatus
from schemas.review import UnknownHold
from schemas.review_tables import ReviewEventRow, ReviewRow
from services.ledger.review_lines import is_an_id
from services.ledger.reviews.deciding import checked_name
from services.ledger.reviews.reading import is_about
from services.ledger.settle import settle
from services.ledger.store import Ledger
from services.ledger.windows import one_at_a_time

_REVIEW = (
    ReviewRow.id,
    ReviewRow.job_id,
    ReviewRow.status,
    ReviewRow.fingerprint,
    ReviewRow.edited_fingerprint,
)
_REVIEW_ID = (
    select(func.min(ReviewRow.id))
    .where(is_about(AttemptRow.job_id, AttemptRow.fingerprint))
    .correlate(AttemptRow)
    .scalar_subquery()
)
#: the attempt, its job and payload, its hold and its worst case
_Unknown = Row[tuple[str, str, str, int, int]]
_UNDECIDED = (*WAITING_STATUSES, ReviewStatus.EXPIRED)


def book(ledger: Ledger, review_id: int, by: str, billed: NanoUsd | None) -> NanoUsd:
    """End the holds of a review's attempts of unknown outcome.

    Args:
        ledger: the ledger.
        review_id: the review.
        by: who looked it up.
        billed: nano-USD that the provider billed; None: nothing, surely.

    Returns:
        What was held for them, in nano-USD.

    Raises:
        BadInput: there is nothing to book, the job must be decided about first, or the figure cannot be right.
    """
    name = checked_name(by)
    with ledger.write() as connection:
        # who comes second finds nothing left to book
        one_at_a_time(connection)
        review = None
        if is_an_id(review_id):
            review = connection.execute(select(*_REVIEW).where(ReviewRow.id == review_id)).first()
        if review is None:
            raise BadInput(f"There is no review {review_id} in {ledger.url}; nothing was booked.")
        unknown = _unknown(
            connection,
            AttemptRow.job_id == review.job_id,
            AttemptRow.fingerprint.in_([review.fingerprint, review.edited_fingerprint]),
        )
        if not unknown:
            raise BadInput(f"Review {review_id} has no attempt of unknown outcome; nothing was booked.")
        return _book(connection, unknown, review, name, billed)


def book_attempt(ledger: Ledger, attempt_id: str, by: str, billed: NanoUsd | None) -> NanoUsd:
    """End the hold of one attempt of unknown outcome, whether its job has a review or not.

    Args:
        ledger: the ledger.
        attempt_id: the attempt.
        by: who looked it up.
        billed: nano-USD that the provider billed; None: nothing, surely.

    Returns:
        What was held for it, in nano-USD.

    Raises:
        BadInput: there is nothing to book, the job must be decided about first, or the figure cannot be right.
    """
    name = checked_name(by)
    with ledger.write() as connection:
        one_at_a_time(connection)
        unknown = _unknown(connection, AttemptRow.attempt_id == attempt_id)
        if not unknown:
            state = connection.scalar(select(AttemptRow.state).where(AttemptRow.attempt_id == attempt_id))
            why = f"There is no attempt {attempt_id} in {ledger.url}"
            if state is not None:
                why = f"Attempt {attempt_id} is {state}, not of unknown outcome"
            raise BadInput(f"{why}; nothing was booked.")
        [attempt] = unknown
        its_review = select(*_REVIEW).where(ReviewRow.id == review_of(connection, attempt.attempt_id))
        review = connection.execute(its_review).first()
        return _book(connection, unknown, review, name, billed)


def review_of(connection: Connection, attempt_id: str) -> int | None:
    """The review of the job of an attempt; None where there is none, or no such attempt."""
    return connection.scalar(select(_REVIEW_ID).where(AttemptRow.attempt_id == attempt_id))


def unknown_holds(ledger: Ledger, run_id: str | None = None, most: int | None = None) -> list[UnknownHold]:
    """The attempts of unknown outcome, the oldest first: each keeps its hold until somebody books what it cost.

    Args:
        ledger: the ledger.
        run_id: only attempts of this run; None: of all.
        most: at most this many; None: all.
    """
    has_raw = exists().where(ResponseRow.attempt_id == AttemptRow.attempt_id).correlate(AttemptRow)
    query = (
        select(
            AttemptRow.attempt_id,
            AttemptRow.job_id,
            AttemptRow.run_id,
            AttemptRow.model,
            AttemptRow.held_nano_usd,
            AttemptRow.ended_at,
            _REVIEW_ID,
            has_raw,
        )
        .where(*_unknown_of(run_id))
        .order_by(AttemptRow.ended_at, AttemptRow.attempt_id)
        .limit(most)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).tuples().all()
    return [UnknownHold(*row) for row in rows]


def count_unknown_holds(ledger: Ledger, run_id: str) -> int:
    """How many attempts of unknown outcome a run has."""
    query = select(func.count()).select_from(AttemptRow).where(*_unknown_of(run_id))
    with ledger.read() as connection:
        return connection.scalar(query) or 0


def _unknown_of(run_id: str | None) -> list[ColumnElement[bool]]:
    unknown = [AttemptRow.state == AttemptState.UNKNOWN]
    return unknown if run_id is None else [AttemptRow.run_id == run_id, *unknown]


def _unknown(connection: Connection, *which: ColumnElement[bool]) -> Sequence[_Unknown]:
    return connection.execute(
        select(
            AttemptRow.attempt_id,
            AttemptRow.job_id,
            AttemptRow.fingerprint,
            AttemptRow.held_nano_usd,
            AttemptRow.worst_case_nano_usd,
        )
        .where(and_(*which), AttemptRow.state == AttemptState.UNKNOWN)
        .order_by(AttemptRow.opened_at)
    ).all()


def _book(
    connection: Connection,
    unknown: Sequence[_Unknown],
    review: Row[tuple[int, str, str, str, str | None]] | None,
    name: str,
    billed: NanoUsd | None,
) -> NanoUsd:
    held = NanoUsd(sum(attempt.held_nano_usd for attempt in unknown))
    words = "it was not billed"
    if billed is not None:
        _check_figure(billed, unknown)
        if review is not None and review.status in _UNDECIDED:
            raise BadInput(
                f"Review {review.id} is {review.status}: approve it (it is sent again) or reject it (it is not) "
                "before you book what was billed. Nothing was booked."
            )
        words = f"it was billed {usd_text(billed)} USD"
    ends = _ends(unknown, billed or 0, f"no answer; {words}, booked by {name}")
    settle(connection, ends)
    if review is not None:
        connection.execute(
            insert(ReviewEventRow).values(
                review_id=review.id,
                at=datetime.now(UTC),
                by=name,
                from_status=review.status,
                to_status=review.status,
                note=f"{len(ends)} attempt(s) booked: {words}",
            )
        )
    return held


def _check_figure(billed: NanoUsd, unknown: Sequence[_Unknown]) -> None:
    if billed < 0:
        raise BadInput("What was billed cannot be less than nothing; nothing was booked.")
    held = sum(attempt.held_nano_usd for attempt in unknown)
    if over := over_hold(billed, held, sum(_most(attempt) for attempt in unknown)):
        raise BadInput(f"{over}. Look again; nothing was booked.")


def _most(attempt: _Unknown) -> int:
    return int(max(attempt.held_nano_usd, attempt.worst_case_nano_usd))


def _ends(unknown: Sequence[_Unknown], billed: int, detail: str) -> list[Settlement]:
    """How the attempts end: the bill goes to the first up to the most that it can have cost, the rest to the next."""
    ends = []
    for attempt in unknown:
        cost = min(billed, _most(attempt))
        billed -= cost
        ends.append(booked(AttemptId(attempt.attempt_id), NanoUsd(cost), detail))
    return ends
