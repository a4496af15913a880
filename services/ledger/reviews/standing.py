"""Standing: which approvals of jobs still hold when their turn comes, and when they are about to leave."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, case, func, select

from rules.approval_now import ApprovalNow, WaitsToLeave, at_its_ceilings, ending_as_it_leaves, ending_now
from schemas.job import AttemptId, JobUpdate, QueuedJob
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import Ending, Reason, ReviewStatus
from schemas.review_tables import ReviewRow
from services.ledger.pages import pages
from services.ledger.store import Ledger


class TakenBack(Exception):  # noqa: N818 - reads as what it is where it is caught
    """People do not let attempts pass any more that money is held for: they must not leave.

    Attributes:
        ends: what becomes of their jobs, by attempt.
    """

    def __init__(self, ends: Mapping[AttemptId, Ending]) -> None:
        super().__init__(f"{len(ends)} attempts may not leave any more")
        self.ends = dict(ends)


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
    with ledger.read() as connection:
        approvals = _approvals(connection, {job.review_id for job in queued if job.review_id is not None})
    standing: list[QueuedJob] = []
    ended: list[JobUpdate] = []
    now = datetime.now(UTC)
    for job in queued:
        approval = approvals.get(job.review_id or 0)
        if approval is None:
            standing.append(job)
        elif ending := ending_now(job.fingerprint, approval, now):
            ended.append(JobUpdate(job.row_number, ending=ending))
        else:
            standing.append(at_its_ceilings(job, approval))
    return standing, ended


def taken_back(connection: Connection, attempts: Sequence[AttemptId]) -> dict[AttemptId, Ending]:
    """Those of some attempts that are about to leave and that people do not let pass any more, and how their jobs end.

    Args:
        connection: the transaction that marks them as leaving; nobody decides meanwhile.
        attempts: those whose jobs have no approval may leave as they are.
    """
    waiting: dict[AttemptId, tuple[int, WaitsToLeave]] = {}
    for page in pages(attempts):
        query = (
            select(
                AttemptRow.attempt_id,
                JobRow.review_id,
                AttemptRow.fingerprint,
                AttemptRow.input_tokens,
                AttemptRow.worst_case_nano_usd,
            )
            .join(JobRow, (JobRow.run_id == AttemptRow.run_id) & (JobRow.row_number == AttemptRow.row_number))
            .where(AttemptRow.attempt_id.in_(page), JobRow.review_id.is_not(None))
        )
        for attempt_id, review_id, *figures in connection.execute(query):
            waiting[AttemptId(attempt_id)] = (review_id, WaitsToLeave(*figures))
    approvals: dict[int, ApprovalNow] = {}
    for page_of_reviews in pages(sorted({review_id for review_id, _ in waiting.values()})):
        approvals |= _approvals(connection, page_of_reviews)
    now = datetime.now(UTC)
    ends: dict[AttemptId, Ending] = {}
    for attempt_id, (review_id, attempt) in waiting.items():
        approval = approvals.get(review_id)
        if approval is not None and (ending := ending_as_it_leaves(attempt, approval, now)):
            ends[attempt_id] = ending
    return ends


def _approvals(connection: Connection, review_ids: Collection[int]) -> dict[int, ApprovalNow]:
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
    return {
        number: ApprovalNow(ReviewStatus(status), Reason(reason), *more)
        for number, status, reason, *more in connection.execute(query)
    }
