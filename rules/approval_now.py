"""Approval now: whether a person still lets a job pass when its turn comes, which may be hours after its run read it."""

from dataclasses import dataclass, replace
from datetime import datetime

from rules.endings import deferred, parked, rejected
from rules.limits import over_ceiling
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


@dataclass(frozen=True, slots=True)
class WaitsToLeave:
    """What of an attempt that money is held for is compared with an approval; the worst case is nano-USD."""

    fingerprint: str
    input_tokens: int
    worst_case: int


def ending_now(fingerprint: str, approval: ApprovalNow, now: datetime) -> Ending | None:
    """How a job ends whose approval was taken back, has lapsed or was changed since its run read it; None where it holds.

    Args:
        fingerprint: of the job, as the run read it.
        approval: what its review says by now.
        now: the moment.
    """
    if approval.status is ReviewStatus.REJECTED:
        detail = f"rejected by {approval.decided_by} while the run was under way"
        return rejected(Reason.REJECTED_BY_REVIEWER, detail)
    was_sent, passes = approval.status is ReviewStatus.SENT, approval.status in LETS_PASS
    if (was_sent or passes) and approval.fingerprint != fingerprint:
        detail = "a person decided about it again while the run was under way; the next run acts on that"
        return deferred(Reason.DECIDED_MEANWHILE, detail)
    has_lapsed = approval.expires_at is not None and approval.expires_at <= now
    # of what was sent as it is now, whoever takes the money for it finds the answer
    if was_sent or (passes and not has_lapsed):
        return None
    return parked(approval.reason, approval.detail)


def ending_as_it_leaves(attempt: WaitsToLeave, approval: ApprovalNow, now: datetime) -> Ending | None:
    """How a job ends that is about to leave and may not by now; None where its approval, ceilings included, holds.

    Money may be held for it for hours before its turn comes, and what a person says meanwhile counts.

    Args:
        attempt: the attempt that is about to leave.
        approval: what its job's review says by now.
        now: the moment.
    """
    if ending := ending_now(attempt.fingerprint, approval, now):
        return ending
    if approval.status not in LETS_PASS:
        return None
    why = over_ceiling(attempt.input_tokens, attempt.worst_case, approval.ceiling_tokens, approval.ceiling)
    return None if why is None else parked(*why)


def at_its_ceilings(job: QueuedJob, approval: ApprovalNow) -> QueuedJob:
    """A job with the ceilings that people allow by now."""
    if approval.status not in LETS_PASS:
        return job
    return replace(job, ceiling_tokens=approval.ceiling_tokens, ceiling=approval.ceiling)
