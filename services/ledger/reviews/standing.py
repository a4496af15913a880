"""Standing: whether a person still lets a job pass when its turn comes, which may be hours after its run read it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select

from rules.endings import deferred, parked, rejected
from schemas.job import JobUpdate, QueuedJob
from schemas.ledger import AttemptRow
from schemas.money import NanoUsd
from schemas.outcome import LETS_PASS, Ending, Reason, ReviewStatus
from schemas.review_tables import ReviewRow
from services.ledger.store import Ledger

_COLUMNS = (
    ReviewRow.id,
    ReviewRow.status,
    ReviewRow.reason,
    ReviewRow.detail,
    ReviewRow.fingerprint,
    ReviewRow.edited_fingerprint,
    ReviewRow.decided_by,
    ReviewRow.expires_at,
    ReviewRow.ceiling_tokens,
    ReviewRow.ceiling_nano_usd,
    AttemptRow.fingerprint.label("answered"),
)


def as_approved_now(ledger: Ledger, queued: Sequence[QueuedJob]) -> tuple[list[QueuedJob], list[JobUpdate]]:
    """Jobs at the ceilings that people allow now, and the ends of those that they do not let pass any more.

    Args:
        ledger: the ledger.
        queued: jobs whose turn it is; those without an approval stay as they are.
    """
    ids = [job.review_id for job in queued if job.review_id is not None]
    if not ids:
        return list(queued), []
    query = select(*_COLUMNS).outerjoin(AttemptRow, AttemptRow.attempt_id == ReviewRow.sent_attempt_id)
    with ledger.read() as connection:
        found = {row.id: row for row in connection.execute(query.where(ReviewRow.id.in_(ids)))}
    standing: list[QueuedJob] = []
    ended: list[JobUpdate] = []
    now = datetime.now(UTC)
    for job in queued:
        review = found.get(job.review_id or 0)
        if review is None:
            standing.append(job)
        elif ending := _not_any_more(job, review, now):
            ended.append(JobUpdate(job.row_number, ending=ending))
        else:
            standing.append(_up_to_ceilings(job, review))
    return standing, ended


def _not_any_more(job: QueuedJob, review: Row[Any], now: datetime) -> Ending | None:
    """How a job ends whose approval was taken back or changed since its run read it; None where it stands."""
    if review.status == ReviewStatus.REJECTED:
        return rejected(
            Reason.REJECTED_BY_REVIEWER, f"rejected by {review.decided_by} while the run was under way"
        )
    # of what was sent as it is now, whoever takes the money for it finds the answer
    what = review.edited_fingerprint or review.fingerprint
    if review.status == ReviewStatus.SENT:
        what = review.answered
    if review.status in (*LETS_PASS, ReviewStatus.SENT) and what != job.fingerprint:
        return deferred(
            Reason.DECIDED_MEANWHILE,
            "a person decided about it again while the run was under way; the next run acts on that",
        )
    lapsed = review.expires_at is not None and review.expires_at <= now
    if review.status == ReviewStatus.SENT or (review.status in LETS_PASS and not lapsed):
        return None
    return parked(Reason(review.reason), review.detail or "")


def _up_to_ceilings(job: QueuedJob, review: Row[Any]) -> QueuedJob:
    if review.status not in LETS_PASS:
        return job
    return replace(job, ceiling_tokens=review.ceiling_tokens, ceiling=NanoUsd(review.ceiling_nano_usd or 0))
