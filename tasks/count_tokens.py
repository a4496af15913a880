"""Count: what each job weighs under every model its climb asks about, by the provider's own scale; free. And route it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from rules.endings import stops_run, uncounted
from rules.plausible_count import impossible_count
from rules.route import NeedsCount
from rules.scale import Scale, method_of
from rules.weighing import not_a_count, standing, unusable_pin, weighed
from schemas.estimate import TokenCount
from schemas.failures import CallFailed, CallFailure
from schemas.fitted_job import FittedJob
from schemas.job import JobUpdate, QueuedJob, Shard
from schemas.outcome import Reason
from schemas.payload.bounds import input_bound
from schemas.payload.payload import Payload
from services.gateway import Gateway
from services.ledger import Ledger, counts, jobs
from tasks.admit import in_doubt_first
from tasks.check_models import why_not_callable
from tasks.prune_conversations import Weighs, fit_budget
from tasks.run import Brake, Halt, Run
from tasks.step import named_step

#: jobs of a shard whose payloads are in memory at a time: enough that many calls go out for each that is waited for
JOBS_AT_ONCE = 250


class _Stopped(Exception):  # noqa: N818 - not an error: the run stopped while the count waited for its turn
    """Nothing was asked."""


@dataclass(slots=True)
class JobOnScale:
    """A job while it is counted.

    Attributes:
        payload: the same object makes the count's body and the paid one's.
        counted: input tokens by model, as far as known; jobs of one payload share it.
        failure: why the counting ended early, if it did.
        impossible: why what came as a count is none, if that is so.
        fitted: what was done to bring it within its budgets, if anything was.
    """

    job: QueuedJob
    payload: Payload
    counted: dict[str, int] = field(default_factory=dict)
    failure: CallFailure | None = None
    impossible: str | None = None
    fitted: FittedJob | None = None

    def is_count(self, tokens: int) -> bool:
        """Whether a number can be the weight of its payload; why not is kept."""
        why = impossible_count(self.payload.request, tokens)
        self.impossible = why or self.impossible
        return why is None


@named_step(task_run_name="count {shard}")
async def count_tokens(run: Run, shard: Shard) -> int:
    """Count the jobs of a shard and write the model of each down; how many found one."""
    if run.workers is not None:
        return await run.workers.count(run, shard)
    return sum([await _count_part(run, part) for part in shard.parts(JOBS_AT_ONCE)])


async def _count_part(run: Run, shard: Shard) -> int:
    """Count some jobs together."""
    queued = await run.ledger.off_loop(jobs.of_shard, run.run_id, shard)
    on_scale = [JobOnScale(job, Payload.restored(body)) for job, body in queued]

    async def count(one: JobOnScale) -> None:
        await count_job(run.scale, run.gateway, one, run.halt, run.count_brake)
        await fit_one(run, one, run.halt)

    fresh = await count_together(run.ledger, on_scale, count)
    return await run.ledger.off_loop(_write, run, fresh, on_scale)


async def count_together(
    ledger: Ledger, jobs: Sequence[JobOnScale], count: Callable[[JobOnScale], Awaitable[None]]
) -> list[TokenCount]:
    """Count jobs side by side; what is on record is not asked for again, unless it can be no count.

    Args:
        ledger: where counts are kept; those that it has are given to the jobs, which share them by payload.
        jobs: to be counted.
        count: counts one of them.

    Returns:
        The counts that are not on record yet.
    """
    known = await ledger.off_loop(counts.known, [one.job.fingerprint for one in jobs])
    for one in jobs:
        one.counted = known.setdefault(one.job.fingerprint, {})
    wrong = [(one.job.fingerprint, model) for one in jobs for model in without_impossible(one)]
    await ledger.off_loop(counts.forget, wrong)
    before = {fingerprint: set(models) for fingerprint, models in known.items()}
    await asyncio.gather(*(count(one) for one in jobs))
    fresh = [
        TokenCount(one.job.fingerprint, model, tokens, method_of(one.job))
        for one in jobs
        for model, tokens in one.counted.items()
        if model not in before.get(one.job.fingerprint, ())
    ]
    return fresh + [kept for one in jobs if one.fitted is not None for kept in one.fitted.counts]


async def fit_one(on: Weighs, one: JobOnScale, halt: Halt) -> None:
    """Bring a counted job that is over a budget within it, as the policy says; it is written down with its weight.

    Args:
        on: what it is weighed with.
        one: the job; what it becomes, or why that could not be counted, is added to it.
        halt: a stopped run fits no more, and a failure that concerns all jobs stops it.
    """
    if on.scale.policy.prune.on_over_budget == "review":
        return
    if one.failure is not None or one.impossible is not None or halt.reason:
        return
    try:
        one.fitted = await fit_budget(
            on, one.job, one.payload, one.counted, update_of(on.scale, one, stopped=halt.reason)
        )
    except CallFailed as error:
        one.failure = error.as_failure()
        halt.stop(stops_run(one.failure))


def without_impossible(one: JobOnScale) -> list[str]:
    """Drop what is known of a job's weight and cannot be, so that it is counted again; under which models."""
    wrong = [model for model, tokens in one.counted.items() if impossible_count(one.payload.request, tokens)]
    for model in wrong:
        del one.counted[model]
    return wrong


async def count_job(
    scale: Scale, gateway: Gateway, one: JobOnScale, halt: Halt | None = None, brake: Brake | None = None
) -> None:
    """Count one job until its climb is decided, or a call fails, or nothing bounds it.

    Of a job that the provider does not count in full, the rest is counted, and its bound takes the count's place.

    Args:
        scale: what it is weighed with.
        gateway: where it is counted.
        one: the job; its counts, or its failure, are added to it.
        halt: a stopped run counts no more, and a failure that concerns all jobs stops it.
        brake: stops it when the endpoint counts nothing.
    """
    halt, brake = halt or Halt(), brake or Brake()

    def leaving() -> None:
        if halt.reason:
            raise _Stopped

    try:
        if one.job.pinned_model:
            await why_not_callable(gateway, scale.models, one.job.pinned_model)
            if unusable_pin(scale, one.job):
                return
        if one.job.traits.uncounted.sampling_calls is None:
            return
        while isinstance(step := standing(scale, one.job, one.counted), NeedsCount) and not halt.reason:
            tokens = await _tokens(scale, gateway, one, step.model, leaving)
            brake.seen(None, halt)
            if tokens is None:
                return
            one.counted[step.model] = tokens
    except _Stopped:
        return
    except CallFailed as error:
        one.failure = error.as_failure()
        brake.seen(one.failure, halt)
        halt.stop(stops_run(one.failure))


async def _tokens(
    scale: Scale, gateway: Gateway, one: JobOnScale, model: str, leaving: Callable[[], None]
) -> int | None:
    """Input tokens of a job under a model: the provider's count, or a bound, or None when there is none."""
    parts = one.job.traits.uncounted.parts
    body = one.payload.bound_body(model) if parts else one.payload.count_body(model)
    counted = await gateway.count(body, leaving=leaving)
    if not one.is_count(counted):
        return None
    if not parts:
        return counted
    return input_bound(one.job.traits, counted, scale.models.callable[model])


def _write(ledger: Ledger, run: Run, fresh: Sequence[TokenCount], on_scale: Sequence[JobOnScale]) -> int:
    updates = [update_of(run.scale, one, stopped=run.halt.reason) for one in on_scale]
    updates = in_doubt_first(run, [one.job for one in on_scale], updates)
    fitted = [one.fitted for one in on_scale if one.fitted is not None]
    jobs.record(ledger, run.run_id, updates, fitted, fresh)
    return sum(update.ending is None for update in updates)


def update_of(scale: Scale, one: JobOnScale, *, stopped: Reason | None = None) -> JobUpdate:
    """What becomes of a job that was on the scale.

    Args:
        scale: what it was weighed with.
        one: the job.
        stopped: why the run stopped, if it did, so that counting did not go on.
    """
    if one.failure is not None:
        return JobUpdate(one.job.row_number, ending=uncounted(one.failure))
    if one.impossible is not None:
        return not_a_count(one.job, one.impossible)
    if one.fitted is not None:
        sent = one.fitted.estimate
        return JobUpdate(
            one.job.row_number, model=sent.model, input_tokens=sent.input_tokens, method=sent.method
        )
    return weighed(scale, one.job, one.counted, stopped=stopped)
