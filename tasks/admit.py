"""Admit: price the worst case, keep back what is over its own limits, and hold the money for the rest."""

import asyncio
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.estimate import Estimate
from schemas.money import to_nano, usd_text
from schemas.outcome import Decision, Method, Mode, Outcome, Reason
from schemas.policy import Policy
from services.ledger import holds, jobs
from services.ledger.holds import Admission, Weighed
from services.ledger.jobs import QueuedJob, Verdict
from services.prices import BilledTokens, PriceCard, Unpriced
from services.surcharges import container_seconds
from tasks.start_run import Run

#: jobs that one transaction holds the money for
SHARD_SIZE = 500


def estimated(job: QueuedJob, policy: Policy, card: PriceCard) -> Estimate:
    """The estimate of a routed job under its model."""
    tokens = job.input_tokens or 0
    bound = policy.margin.bound(tokens)
    batch = policy.mode == Mode.BATCHES
    expected_output = max(1, int(job.max_tokens * policy.output.expected_share))
    return Estimate(
        model=card.model,
        input_tokens=tokens,
        method=Method(job.method or Method.COUNTED),
        input_bound=bound,
        expected=card.price(
            BilledTokens(tokens, expected_output), batch=batch, geo=job.traits.geo, speed=job.traits.speed
        ),
        worst_case=card.worst_case(
            bound,
            job.max_tokens,
            job.cache_ttl,
            batch=batch,
            geo=job.traits.geo,
            speed=job.traits.speed,
            container_seconds=container_seconds(job.traits.uncountable),
        ),
    )


def over_own_limits(job: QueuedJob, estimate: Estimate, policy: Policy) -> tuple[Reason, str] | None:
    """Why a job must wait for a person, or None: its limits are the tighter of the policy's and its own."""
    most_tokens = _tighter(policy.request.max_input_tokens, job.own_max_input_tokens)
    if estimate.input_tokens > most_tokens:
        return (
            Reason.OVER_INPUT_LIMIT,
            f"{estimate.input_tokens:,} input tokens counted, limit {most_tokens:,}",
        )
    most_cost = _tighter(to_nano(policy.request.max_cost_usd), job.own_max_cost)
    if estimate.worst_case > most_cost:
        return (
            Reason.OVER_COST_LIMIT,
            (
                f"worst case {usd_text(estimate.worst_case)} USD ({estimate.input_bound:,} input and "
                f"{job.max_tokens:,} output tokens on {estimate.model}), limit {usd_text(most_cost)} USD"
            ),
        )
    return None


def _tighter(policy_limit: int, own: int | None) -> int:
    return policy_limit if own is None else min(policy_limit, own)


def admit_next(run: Run, size: int, *, may_defer: bool) -> Admission | None:
    """Decide about the next jobs in the queue.

    Args:
        run: the run.
        size: at most so many jobs.
        may_defer: see `holds.take`.

    Returns:
        What may be sent and what was deferred, or None when the queue is empty.
    """
    if run.stopped:
        jobs.defer_queue(run.ledger, run.run_id, run.stopped)
    queued = jobs.next_in_queue(run.ledger, run.run_id, size)
    if not queued:
        return None
    weighed, unpriced = _weighed(run, queued)
    within, over = _split(weighed, run.policy)
    jobs.record(run.ledger, run.run_id, unpriced + over)
    return holds.take(
        run.ledger,
        run.run_id,
        within,
        run.caps(),
        may_defer=may_defer,
        resend_unknown=run.policy.on_unknown == "resend",
    )


def _weighed(run: Run, queued: Sequence[QueuedJob]) -> tuple[list[Weighed], list[Verdict]]:
    """Each job with its estimate; what asks for something that has no price waits for a person."""
    weighed: list[Weighed] = []
    unpriced: list[Verdict] = []
    for job in queued:
        try:
            weighed.append(Weighed(job, estimated(job, run.policy, run.price_card(job.model or ""))))
        except Unpriced as error:
            unpriced.append(
                Verdict(
                    job.row_number,
                    decision=Decision.REVIEW,
                    outcome=Outcome.REVIEW,
                    reason=Reason.NO_ROUTE,
                    detail=f"{error}; what has no price is not sent",
                )
            )
    return weighed, unpriced


def _split(weighed: Sequence[Weighed], policy: Policy) -> tuple[list[Weighed], list[Verdict]]:
    within: list[Weighed] = []
    over: list[Verdict] = []
    for item in weighed:
        if why := over_own_limits(item.job, item.estimate, policy):
            over.append(_parked(item, *why))
        else:
            within.append(item)
    return within, over


def _parked(item: Weighed, reason: Reason, detail: str) -> Verdict:
    return Verdict(
        item.job.row_number,
        decision=Decision.REVIEW,
        outcome=Outcome.REVIEW,
        reason=reason,
        detail=detail,
        expected=item.estimate.expected,
        worst_case=item.estimate.worst_case,
    )


def admit_batch(run: Run, *, may_defer: bool) -> Admission | None:
    """Decide about the next jobs in the queue until a provider batch is full; see `admit_next`."""
    limits = run.policy.batch
    total = Admission()
    weight = 0
    while len(total.held) < limits.max_requests and weight < limits.max_bytes and not total.short:
        size = min(SHARD_SIZE, limits.max_requests - len(total.held))
        part = admit_next(run, size, may_defer=may_defer and not total.held)
        if part is None:
            return total if total.held or total.joined else None
        total.held += part.held
        total.joined += part.joined
        total.deferred += part.deferred
        total.short = part.short
        weight += sum(len(attempt.payload) for attempt in part.held)
    return total


@task(name="admit", cache_policy=NO_CACHE, persist_result=False)
async def admit(run: Run, *, may_defer: bool) -> Admission | None:
    """Hold the money for the next shard, or the next batch, of the queue; None when the queue is empty."""
    if run.policy.mode == Mode.BATCHES:
        return await asyncio.to_thread(admit_batch, run, may_defer=may_defer)
    return await asyncio.to_thread(admit_next, run, SHARD_SIZE, may_defer=may_defer)
