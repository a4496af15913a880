"""Closing: what a run made of the reviews whose jobs it had leave to send."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, select, update

from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import LETS_PASS, OPEN_STATUSES, WAITING_STATUSES, Outcome, Reason, ReviewStatus
from schemas.review import CUT_OFF_ADVICE
from schemas.review_tables import ReviewRow
from services.ledger.reviews.reading import in_doubt, is_about, is_over_ceiling
from services.ledger.windows import one_at_a_time

#: how a job under an approval may end without having been answered: a person looks again
_UNSENT = (Outcome.REVIEW, Outcome.UNKNOWN, Outcome.REJECTED)


def close_answered(connection: Connection, run_id: str) -> None:
    """Close the reviews of the jobs that were answered in a run, or before it."""
    one_at_a_time(connection)
    answered = (
        select(JobRow.attempt_id, AttemptRow.run_id)
        .join(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome == Outcome.SUCCEEDED)
    )
    # under an approval: few, and known by their review
    approved = answered.add_columns(JobRow.review_id).where(JobRow.review_id.is_not(None))
    closing = update(ReviewRow).where(ReviewRow.status.in_(OPEN_STATUSES))
    for attempt_id, by_run, review_id in connection.execute(approved.order_by(JobRow.review_id)).all():
        connection.execute(closing.where(ReviewRow.id == review_id).values(_sent(attempt_id, by_run)))
    same = answered.where(JobRow.job_id == ReviewRow.job_id, JobRow.fingerprint == ReviewRow.fingerprint)
    attempt = same.with_only_columns(JobRow.attempt_id).correlate(ReviewRow).limit(1)
    by = same.with_only_columns(AttemptRow.run_id).correlate(ReviewRow).limit(1)
    connection.execute(
        closing.where(attempt.exists()).values(_sent(attempt.scalar_subquery(), by.scalar_subquery()))
    )


def _sent(attempt: Any, by_run: Any) -> dict[str, Any]:
    return {
        "status": ReviewStatus.SENT,
        "sent_attempt_id": attempt,
        "sent_run_id": by_run,
        "version": ReviewRow.version + 1,
    }


def reopen_unsent(connection: Connection, run_id: str) -> None:
    """Let a person look again at what they approved and was over its ceiling, refused, or is of unknown outcome.

    A review that says that an attempt may have been billed goes on saying so while that is not known. What a person
    decided since its row ended stays: another payload, or a ceiling that the job is within.
    """
    one_at_a_time(connection)
    query = select(
        JobRow.review_id,
        JobRow.row_number,
        JobRow.outcome,
        JobRow.reason,
        JobRow.detail,
        JobRow.fingerprint,
        JobRow.input_tokens,
        JobRow.worst_case_nano_usd,
    ).where(JobRow.run_id == run_id, JobRow.review_id.is_not(None), JobRow.outcome.in_(_UNSENT))
    says_so = and_(
        ReviewRow.reason == Reason.UNKNOWN_OUTCOME,
        in_doubt(ReviewRow.fingerprint, ReviewRow.edited_fingerprint),
    )
    for row in connection.execute(query.order_by(JobRow.review_id)).all():
        reason = row.reason or Reason.UNKNOWN_OUTCOME
        values: dict[str, Any] = {"reason": reason, "detail": row.detail or ""}
        if reason != Reason.UNKNOWN_OUTCOME:
            values = {
                name: case((says_so, getattr(ReviewRow, name)), else_=value) for name, value in values.items()
            }
        connection.execute(
            update(ReviewRow)
            .where(ReviewRow.id == row.review_id, ReviewRow.status.in_(LETS_PASS), *_kept_back(row))
            .values(
                status=ReviewStatus.PENDING,
                run_id=run_id,
                row_number=row.row_number,
                version=ReviewRow.version + 1,
                **values,
            )
        )


def _kept_back(row: Row[Any]) -> list[ColumnElement[bool]]:
    """Whether what a review lets pass by now is what kept a row back."""
    if row.outcome == Outcome.UNKNOWN:
        return []
    kept_back = [func.coalesce(ReviewRow.edited_fingerprint, ReviewRow.fingerprint) == row.fingerprint]
    if row.reason == Reason.OVER_CEILING and row.worst_case_nano_usd is not None:
        kept_back.append(is_over_ceiling(row.input_tokens, row.worst_case_nano_usd))
    return kept_back


def name_cut_off(connection: Connection, run_id: str) -> None:
    """Let reviews of attempts that may have been billed say so no more, once those turn out to be answered and cut off."""
    one_at_a_time(connection)
    query = select(JobRow.job_id, JobRow.fingerprint, JobRow.detail).where(
        JobRow.run_id == run_id, JobRow.outcome == Outcome.REVIEW, JobRow.reason == Reason.CUT_OFF
    )
    for row in connection.execute(query.order_by(JobRow.row_number)).all():
        connection.execute(
            update(ReviewRow)
            .where(
                is_about(row.job_id, row.fingerprint),
                ReviewRow.status.in_(WAITING_STATUSES),
                ReviewRow.reason == Reason.UNKNOWN_OUTCOME,
                ~in_doubt(ReviewRow.fingerprint, ReviewRow.edited_fingerprint),
            )
            .values(
                reason=Reason.CUT_OFF,
                detail=row.detail or "",
                would_pass=CUT_OFF_ADVICE,
                version=ReviewRow.version + 1,
            )
        )
