"""Approval now: whether a person still lets a job pass when its turn comes, which may be hours after its run read it."""

from dataclasses import dataclass, replace
from datetime import datetime

from rules.endings import deferred, parked, rejected
from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import LETS_PASS, Ending, Reason, ReviewStatus


@dataclass(frozen=True, slots=True)
class ApprovalNow:
    """What the review that approved a job says by now.

    Attributes:
        status: of the review.
        reason: why the job was parked.
        detail: the same as a sentence.
        fingerprint: of the payload that it lets pass, or that was sent; None: what was sent is not known.
        decided_by: who decided last.
        expires_at: when the approval lapses; None: never.
        ceiling_tokens: the most input tokens that it lets pass; None: any number.
        ceiling: the highest worst case that it lets pass, nano-USD.
    """

    status: ReviewStatus
    reason: Reason
    detail: str
    fingerprint: str | None
    decided_by: str | None
    expires_at: datetime | None
    ceiling_tokens: int | None
    ceiling: NanoUsd


def ending_now(job: QueuedJob, approval: ApprovalNow, now: datetime) -> Ending | None:
    """How a job ends whose approval was taken back, has lapsed or was changed since its run read it; None where it holds.

    Args:
        job: the job, as the run read it.
        approval: what its review says by now.
        now: the moment.
    """
    if approval.status is ReviewStatus.REJECTED:
        detail = f"rejected by {approval.decided_by} while the run was under way"
        return rejected(Reason.REJECTED_BY_REVIEWER, detail)
    was_sent, passes = approval.status is ReviewStatus.SENT, approval.status in LETS_PASS
    if (was_sent or passes) and approval.fingerprint != job.fingerprint:
        detail = "a person decided about it again while the run was under way; the next run acts on that"
        return deferred(Reason.DECIDED_MEANWHILE, detail)
    has_lapsed = approval.expires_at is not None and approval.expires_at <= now
    # of what was sent as it is now, whoever takes the money for it finds the answer
    if was_sent or (passes and not has_lapsed):
        return None
    return parked(approval.reason, approval.detail)


def at_its_ceilings(job: QueuedJob, approval: ApprovalNow) -> QueuedJob:
    """A job with the ceilings that people allow by now."""
    if approval.status not in LETS_PASS:
        return job
    return replace(job, ceiling_tokens=approval.ceiling_tokens, ceiling=approval.ceiling)
