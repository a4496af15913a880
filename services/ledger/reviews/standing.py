"""Standing: which approvals of jobs still hold when their turn comes."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import case, func, select

from rules.approval_now import ApprovalNow, at_its_ceilings, ending_now
from schemas.job import JobUpdate, QueuedJob
from schemas.ledger import AttemptRow
from schemas.outcome import Reason, ReviewStatus
from schemas.review_tables import ReviewRow
from services.ledger.store import Ledger

_OF_WHAT_PASSES = case(
    (ReviewRow.status == ReviewStatus.SENT, AttemptRow.fingerprint),
    else_=func.coalesce(ReviewRow.edited_fingerprint, ReviewRow.fingerprint),
)


def as_approved_now(ledger: Ledger, queued: Sequence[QueuedJob]) -> tuple[list[QueuedJob], list[JobUpdate]]:
    """Jobs at the ceilings that people allow now, and the ends of those that they do not let pass any more.

    Args:
        ledger: the ledger.
        queued: jobs whose turn it is; those without an approval stay as they are.
    """
    approvals = _approvals(ledger, {job.review_id for job in queued if job.review_id is not None})
    standing: list[QueuedJob] = []
    ended: list[JobUpdate] = []
    now = datetime.now(UTC)
    for job in queued:
        approval = approvals.get(job.review_id or 0)
        if approval is None:
            standing.append(job)
        elif ending := ending_now(job, approval, now):
            ended.append(JobUpdate(job.row_number, ending=ending))
        else:
            standing.append(at_its_ceilings(job, approval))
    return standing, ended


def _approvals(ledger: Ledger, review_ids: Collection[int]) -> dict[int, ApprovalNow]:
    if not review_ids:
        return {}
    query = (
        select(
            ReviewRow.id,
            ReviewRow.status,
            ReviewRow.reason,
            func.coalesce(ReviewRow.detail, ""),
            _OF_WHAT_PASSES,
            ReviewRow.decided_by,
            ReviewRow.expires_at,
            ReviewRow.ceiling_tokens,
            func.coalesce(ReviewRow.ceiling_nano_usd, 0),
        )
        .outerjoin(AttemptRow, AttemptRow.attempt_id == ReviewRow.sent_attempt_id)
        .where(ReviewRow.id.in_(review_ids))
    )
    with ledger.read() as connection:
        return {
            number: ApprovalNow(ReviewStatus(status), Reason(reason), *more)
            for number, status, reason, *more in connection.execute(query)
        }
