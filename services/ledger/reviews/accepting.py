"""Accepting what came for an attempt of unknown outcome as the answer of its job, although it could not be read.

One transaction: the attempt is settled at what a person looked up and has succeeded, every row that waits for it is
answered, and the review is closed.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from rules.endings import accepted
from rules.raw_answer import why_not_accepted
from schemas.attempt import SentTry
from schemas.errors import BadInput
from schemas.job import AttemptId, RunId
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.money import NanoUsd, usd_text
from schemas.outcome import LIVE_STATES, AttemptState, Reason, ReviewStatus
from schemas.review import AcceptedAnswer, RawAnswer
from schemas.review_tables import ReviewEventRow, ReviewRow
from schemas.transitions import TRANSITIONS, Verb, why_not
from services.ledger.pages import pages
from services.ledger.review_lines import is_an_id, raw_answer_of, raw_answers_by
from services.ledger.reviews.booking import review_of
from services.ledger.reviews.deciding import checked_name
from services.ledger.settle import ACCEPTED_UNREAD, settle
from services.ledger.store import Ledger, values_of
from services.ledger.taken_up import taken_up_again
from services.ledger.windows import one_at_a_time


def accept(
    ledger: Ledger, review_id: int, by: str, billed: NanoUsd, *, version: int | None = None
) -> AcceptedAnswer:
    """Make the newest raw answer of a review the answer of its job, at the cost that a person looked up.

    Args:
        ledger: the ledger.
        review_id: the review.
        by: who accepts it.
        billed: nano-USD that the provider billed for it.
        version: what they read; a review that was changed since is refused. None: whatever stands there.

    Returns:
        The attempt that answers the job now, and what was held for it.

    Raises:
        BadInput: there is nothing to accept, somebody else decided, the job was sent again, or the figure cannot be
            right. Nothing was changed.
    """
    name = checked_name(by)
    with ledger.write() as connection:
        # who comes second finds nothing left to accept
        one_at_a_time(connection)
        review = _locked(connection, review_id)
        if review is None:
            raise BadInput(f"There is no review {review_id} in {ledger.url}; nothing was accepted.")
        raw = next(iter(raw_answers_by(values_of(connection), review_id)), None)
        why = _why_not(connection, review, raw, name, billed)
        if why is None and version not in (None, review.version):
            why = f"it was changed since you read it (version {version}, now {review.version})"
        if why is not None or raw is None:
            raise BadInput(f"Review {review_id} cannot be accepted: {why}. Nothing was accepted.")
        return _accepted(connection, review, raw, name, billed)


def accept_attempt(ledger: Ledger, attempt_id: str, by: str, billed: NanoUsd) -> AcceptedAnswer:
    """Make what came for one attempt the answer of its job, whether that has a review or not.

    Under `on_unknown = "resend"` it has none: then one is put on record, closed, which says who accepted what.

    Args:
        ledger: the ledger.
        attempt_id: the attempt.
        by: who accepts it.
        billed: nano-USD that the provider billed for it.

    Returns:
        The attempt, and what was held for it.

    Raises:
        BadInput: as `accept`. Nothing was changed.
    """
    name = checked_name(by)
    with ledger.write() as connection:
        one_at_a_time(connection)
        raw = raw_answer_of(values_of(connection), attempt_id)
        if raw is None:
            raise BadInput(
                f"Nothing was accepted: in {ledger.url}, nothing is kept that came for an attempt {attempt_id} of unknown "
                "outcome. `weighbridge review holds` lists those there are."
            )
        review_id = review_of(connection, attempt_id)
        review = _locked(connection, review_id or _put_on_record(connection, attempt_id))
        why = "it has no review" if review is None else _why_not(connection, review, raw, name, billed)
        if why is not None or review is None:
            raise BadInput(f"Attempt {attempt_id} cannot be accepted: {why}. Nothing was accepted.")
        return _accepted(connection, review, raw, name, billed)


def _put_on_record(connection: Connection, attempt_id: str) -> int:
    """Put the review on record of an attempt whose job has none; its id."""
    named = AttemptRow.attempt_id == attempt_id
    attempt = connection.execute(select(AttemptRow.__table__).where(named)).one()
    values = {
        "job_id": attempt.job_id,
        "run_id": attempt.run_id,
        "row_number": attempt.row_number,
        "fingerprint": attempt.fingerprint,
        "reason": Reason.UNKNOWN_OUTCOME,
        "detail": attempt.error or "",
        "status": ReviewStatus.PENDING,
        "model": attempt.model,
        "method": attempt.method,
        "payload_class": attempt.payload_class,
        "input_tokens": attempt.input_tokens,
        "max_tokens": attempt.max_tokens,
        "worst_case_nano_usd": attempt.worst_case_nano_usd,
        "group_name": attempt.group_name,
        "created_at": datetime.now(UTC),
    }
    return connection.execute(insert(ReviewRow).values(**values).returning(ReviewRow.id)).scalar_one()


def _accepted(
    connection: Connection, review: Row[Any], raw: RawAnswer, name: str, billed: NanoUsd
) -> AcceptedAnswer:
    _settle(connection, raw, name, billed)
    _close(connection, review, raw, name, billed)
    return AcceptedAnswer(raw.attempt_id, NanoUsd(raw.held_nano_usd))


def _locked(connection: Connection, review_id: int) -> Row[Any] | None:
    if not is_an_id(review_id):
        return None
    # a SQL shell knows nothing of our lock, so on PostgreSQL the row itself is locked too
    return connection.execute(
        select(ReviewRow.__table__).where(ReviewRow.id == review_id).with_for_update()
    ).first()


def _why_not(
    connection: Connection, review: Row[Any], raw: RawAnswer | None, name: str, billed: int
) -> str | None:
    """Why the raw answer of a review cannot be accepted, or None when it can."""
    at_job = (
        AttemptRow.job_id == review.job_id,
        AttemptRow.fingerprint.in_([review.fingerprint, review.edited_fingerprint]),
    )
    unknown = select(func.count()).where(*at_job, AttemptRow.state == AttemptState.UNKNOWN)
    rivals = [] if raw is None else _rivals(connection, raw.attempt_id, at_job)
    return why_not_accepted(connection.scalar(unknown) or 0, raw, rivals, billed) or why_not(
        Verb.ACCEPT, review, name
    )


def _rivals(connection: Connection, attempt_id: str, at_job: Sequence[ColumnElement[bool]]) -> list[str]:
    """The attempts that are in flight or were answered at the job of an attempt, with its payload or the edit of it."""
    its_own = select(AttemptRow.fingerprint).where(AttemptRow.attempt_id == attempt_id).scalar_subquery()
    at_edit = select(AttemptRow.attempt_id).where(
        *at_job, AttemptRow.state.in_(LIVE_STATES), AttemptRow.fingerprint != its_own
    )
    same = taken_up_again(connection, [attempt_id]).get(attempt_id, [])
    return sorted([*same, *connection.scalars(at_edit)])


def _settle(connection: Connection, raw: RawAnswer, name: str, billed: NanoUsd) -> None:
    tried = connection.execute(
        select(AttemptRow.tries, AttemptRow.request_id).where(AttemptRow.attempt_id == raw.attempt_id)
    ).one()
    sent = SentTry(AttemptId(raw.attempt_id), tried.tries, tried.request_id)
    settle(connection, [accepted(sent, raw.body, billed, name)])


def _close(connection: Connection, review: Row[Any], raw: RawAnswer, name: str, billed: NanoUsd) -> None:
    now = datetime.now(UTC)
    closed = TRANSITIONS[Verb.ACCEPT].to
    connection.execute(
        update(ReviewRow)
        .where(ReviewRow.id == review.id)
        .values(
            status=closed,
            decided_by=name,
            decided_at=now,
            sent_attempt_id=raw.attempt_id,
            sent_run_id=raw.run_id,
            version=ReviewRow.version + 1,
        )
    )
    # the database's own event of a review that is sent names the run; who accepted it is in this one
    connection.execute(
        insert(ReviewEventRow).values(
            review_id=review.id,
            at=now,
            by=name,
            from_status=review.status,
            to_status=closed,
            note=f"raw answer of {raw.attempt_id} accepted; it was billed {usd_text(billed)} USD",
        )
    )


def runs_to_publish(ledger: Ledger) -> list[RunId]:
    """The ended runs with rows that an accepted answer has answered since: their results lack it."""
    # from the few reviews to the attempts: nothing looks through all attempts
    accepted_ones = (
        select(AttemptRow.attempt_id)
        .join(ReviewRow, ReviewRow.sent_attempt_id == AttemptRow.attempt_id)
        .where(
            ReviewRow.status == ReviewStatus.SENT,
            ReviewRow.decided_by.is_not(None),
            ACCEPTED_UNREAD,
        )
    )
    found: set[str] = set()
    with ledger.read() as connection:
        ids = list(connection.scalars(accepted_ones))
        for page in pages(ids):
            late = (
                select(JobRow.run_id)
                .join(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
                .join(RunRow, RunRow.run_id == JobRow.run_id)
                .where(JobRow.attempt_id.in_(page), AttemptRow.ended_at > RunRow.ended_at)
            )
            found |= set(connection.scalars(late))
    return [RunId(run_id) for run_id in sorted(found)]
