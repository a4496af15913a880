"""Closing: what a run made of the reviews that let its jobs pass."""

from typing import Any

from sqlalchemy import Connection, select, update

from schemas.ledger import AttemptRow, JobRow, ReviewRow
from schemas.outcome import Outcome, Reason
from services.ledger.reviews.applying import _LETS_PASS

#: a review that a run closes when its job is answered
_OPEN = ("pending", "claimed", *_LETS_PASS)


#: how a job under an approval may end without the approval having been of use: a person looks again
_IN_VAIN = (Outcome.REVIEW, Outcome.UNKNOWN, Outcome.REJECTED)


def close_answered(connection: Connection, run_id: str) -> None:
    """Close the reviews of the jobs that were answered in a run, or before it."""
    answered = (
        select(JobRow.attempt_id, AttemptRow.run_id)
        .join(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome == Outcome.SUCCEEDED)
    )
    # under an approval: few, and known by their review
    approved_jobs = answered.add_columns(JobRow.review_id).where(JobRow.review_id.is_not(None))
    closing = update(ReviewRow).where(ReviewRow.status.in_(_OPEN))
    for attempt_id, by_run, review_id in connection.execute(approved_jobs).all():
        connection.execute(
            closing.where(ReviewRow.id == review_id).values(_sent(attempt_id, by_run)),
        )
    same = answered.where(JobRow.job_id == ReviewRow.job_id, JobRow.fingerprint == ReviewRow.fingerprint)
    attempt = same.with_only_columns(JobRow.attempt_id).correlate(ReviewRow).limit(1)
    by = same.with_only_columns(AttemptRow.run_id).correlate(ReviewRow).limit(1)
    connection.execute(
        closing.where(attempt.exists()).values(_sent(attempt.scalar_subquery(), by.scalar_subquery()))
    )


def _sent(attempt: Any, by_run: Any) -> dict[str, Any]:
    return {
        "status": "sent",
        "sent_attempt_id": attempt,
        "sent_run_id": by_run,
        "version": ReviewRow.version + 1,
    }


def reopen_unsent(connection: Connection, run_id: str) -> None:
    """Let a person look again at what they let pass and was over its ceiling, refused, or is of unknown outcome."""
    query = select(JobRow.review_id, JobRow.outcome, JobRow.reason, JobRow.detail).where(
        JobRow.run_id == run_id, JobRow.review_id.is_not(None), JobRow.outcome.in_(_IN_VAIN)
    )
    for row in connection.execute(query).all():
        connection.execute(
            update(ReviewRow)
            .where(ReviewRow.id == row.review_id, ReviewRow.status.in_(_LETS_PASS))
            .values(
                status="pending",
                run_id=run_id,
                reason=row.reason or Reason.UNKNOWN_OUTCOME,
                detail=row.detail or "",
                version=ReviewRow.version + 1,
            )
        )
