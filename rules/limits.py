"""The limits in force for a job: the policy's and its own, whichever is tighter; under an approval, its ceilings."""

from typing import TypeVar

from schemas.estimate import Estimate
from schemas.job import QueuedJob
from schemas.money import to_nano, usd_text
from schemas.outcome import Reason
from schemas.policy import Policy
from schemas.review import JobLimits

Limit = TypeVar("Limit", bound=int)


def policy_limits(policy: Policy) -> JobLimits:
    """What the policy allows any one job."""
    return JobLimits(policy.request.max_input_tokens, to_nano(policy.request.max_cost_usd))


def job_limits(job: QueuedJob, policy: Policy) -> JobLimits:
    """The limits in force for one job, an approval left aside: a job's own can only tighten the policy's."""
    return tighter(policy_limits(policy), job)


def tighter(limits: JobLimits, job: QueuedJob) -> JobLimits:
    """These limits, tightened by those that a job brought with it."""
    return JobLimits(
        tokens=_tighter(limits.tokens, job.own_max_input_tokens), cost=_tighter(limits.cost, job.own_max_cost)
    )


def over_limits(job: QueuedJob, estimate: Estimate, policy: Policy) -> tuple[Reason, str] | None:
    """Why a job must wait for a person, with the figures, or None when it is within its limits."""
    if job.ceiling is not None:
        return over_ceiling(estimate.input_tokens, estimate.worst_case, job.ceiling_tokens, job.ceiling)
    limits = job_limits(job, policy)
    if limits.tokens is not None and estimate.input_tokens > limits.tokens:
        detail = f"{estimate.input_tokens:,} input tokens counted, limit {limits.tokens:,}"
        return Reason.OVER_INPUT_LIMIT, detail
    if limits.cost is not None and estimate.worst_case > limits.cost:
        detail = (
            f"worst case {usd_text(estimate.worst_case)} USD ({estimate.input_bound:,} input and "
            f"{job.max_tokens:,} output tokens on {estimate.model}), limit {usd_text(limits.cost)} USD"
        )
        return Reason.OVER_COST_LIMIT, detail
    return None


def over_ceiling(
    input_tokens: int, worst_case: int, ceiling_tokens: int | None, ceiling: int
) -> tuple[Reason, str] | None:
    """Why a job is over what was approved, with the figures, or None when it is not. Money is nano-USD."""
    if ceiling_tokens is not None and input_tokens > ceiling_tokens:
        return Reason.OVER_CEILING, f"{input_tokens:,} input tokens, approved up to {ceiling_tokens:,}"
    if worst_case > ceiling:
        detail = f"worst case {usd_text(worst_case)} USD, approved up to {usd_text(ceiling)} USD"
        return Reason.OVER_CEILING, detail
    return None


def _tighter(one: Limit | None, other: Limit | None) -> Limit | None:
    given = [limit for limit in (one, other) if limit is not None]
    return min(given, default=None)
