"""Admit: price each job by what was learned, keep back what is over its own limits, and hold the money for the rest."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.lesson import Lesson
from rules.prices import BilledTokens, PriceCard, Unpriced
from rules.surcharges import container_seconds
from schemas.attempt import Admission, WeighedJob
from schemas.estimate import Estimate
from schemas.job import JobUpdate, QueuedJob
from schemas.money import NanoUsd, to_nano, usd_text
from schemas.outcome import Decision, Method, Mode, Outcome, Reason
from schemas.policy import Policy
from services.ledger import holds, jobs
from tasks.learn import lesson_of
from tasks.start_run import Run

#: jobs that one transaction holds the money for
SHARD_SIZE = 500


def estimated(job: QueuedJob, policy: Policy, card: PriceCard, lesson: Lesson) -> Estimate:
    """The estimate of a routed job under its model, by what was observed of such jobs."""
    tokens = job.input_tokens or 0
    method = Method(job.method or Method.COUNTED)
    # a lesson is about the provider's counts
    bound = (lesson.margin if method == Method.COUNTED else policy.margin).bound(tokens)
    batch = policy.mode == Mode.BATCHES
    traits = job.traits

    def at(output_tokens: int) -> NanoUsd:
        billed = BilledTokens(tokens, max(1, output_tokens))
        return card.price(billed, batch=batch, geo=traits.geo, speed=traits.speed)

    def at_most(output_tokens: int) -> NanoUsd:
        return card.worst_case(
            bound,
            output_tokens,
            job.cache_ttl,
            batch=batch,
            geo=traits.geo,
            speed=traits.speed,
            sampling_calls=traits.uncounted.sampling_calls or 1,
            web_searches=traits.uncounted.web_searches,
            container_seconds=container_seconds(traits.uncounted.parts),
        )

    assumed = Estimate(
        model=card.model,
        input_tokens=tokens,
        method=method,
        input_bound=bound,
        expected=at(int(job.max_tokens * policy.output.expected_share)),
        worst_case=at_most(job.max_tokens),
    )
    if not lesson.enough:
        return assumed
    answers, percentile = lesson.outputs, policy.hold.output_percentile
    mean = answers.mean(job.max_tokens)
    return replace(
        assumed,
        expected=at(mean),
        expected_low=at(min(mean, answers.usual(5, job.max_tokens))),
        expected_high=at(max(mean, answers.usual(95, job.max_tokens))),
        likely=None if percentile is None else at_most(answers.enough_for(percentile, job.max_tokens)),
    )


def estimate_of(run: Run, job: QueuedJob) -> Estimate:
    """The estimate of a routed job in a run, by the run's prices and lessons.

    Raises:
        Unpriced: it asks for something that has no price.
    """
    model = job.model or ""
    lesson = lesson_of(run, (model, job.traits.payload_class))
    return estimated(job, run.policy, run.price_card(model), lesson)


def over_own_limits(job: QueuedJob, estimate: Estimate, policy: Policy) -> tuple[Reason, str] | None:
    """Why a job must wait for a person, or None.

    Its limits are the tighter of the policy's and its own; under an approval, the ceilings in their place.
    """
    if job.ceiling is not None:
        return _over_ceiling(job, estimate, job.ceiling)
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


def _over_ceiling(job: QueuedJob, estimate: Estimate, ceiling: NanoUsd) -> tuple[Reason, str] | None:
    if job.ceiling_tokens is not None and estimate.input_tokens > job.ceiling_tokens:
        detail = f"{estimate.input_tokens:,} input tokens, approved up to {job.ceiling_tokens:,}"
        return Reason.OVER_CEILING, detail
    if estimate.worst_case > ceiling:
        detail = f"worst case {usd_text(estimate.worst_case)} USD, approved up to {usd_text(ceiling)} USD"
        return Reason.OVER_CEILING, detail
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
        What may be sent and what was deferred, or None when the queue is empty, but for groups that wait.
    """
    if run.stopped:
        jobs.defer_queue(run.ledger, run.run_id, run.stopped)
    if may_defer:
        run.short_groups.clear()
    queued = jobs.next_in_queue(run.ledger, run.run_id, size, run.short_groups)
    if not queued:
        return None
    weighed, unpriced = _weighed(run, queued)
    within, over = _split(weighed, run.policy)
    jobs.record(run.ledger, run.run_id, unpriced + over)
    admission = holds.take(
        run.ledger,
        run.run_id,
        within,
        run.caps({item.job.group for item in within if item.job.group}),
        may_defer=may_defer,
        resend_unknown=run.policy.on_unknown == "resend",
    )
    run.short_groups |= admission.short_groups
    return admission


def _weighed(run: Run, queued: Sequence[QueuedJob]) -> tuple[list[WeighedJob], list[JobUpdate]]:
    """Each job with its estimate; what asks for something that has no price waits for a person."""
    weighed: list[WeighedJob] = []
    unpriced: list[JobUpdate] = []
    for job in queued:
        try:
            weighed.append(WeighedJob(job, estimate_of(run, job)))
        except Unpriced as error:
            unpriced.append(
                JobUpdate(
                    job.row_number,
                    decision=Decision.REVIEW,
                    outcome=Outcome.REVIEW,
                    reason=Reason.UNPRICED,
                    detail=f"{error}; what has no price is not sent",
                )
            )
    return weighed, unpriced


def _split(weighed: Sequence[WeighedJob], policy: Policy) -> tuple[list[WeighedJob], list[JobUpdate]]:
    within: list[WeighedJob] = []
    over: list[JobUpdate] = []
    for item in weighed:
        if why := over_own_limits(item.job, item.estimate, policy):
            over.append(_parked(item, *why))
        else:
            within.append(item)
    return within, over


def _parked(item: WeighedJob, reason: Reason, detail: str) -> JobUpdate:
    return JobUpdate(
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
