"""Count: what each job weighs under every model its climb asks about, by the provider's own scale; free. And route it."""

import asyncio
from collections.abc import Callable, Sequence
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
from schemas.payload.bounds import input_bound
from schemas.payload.payload import Payload
from services.gateway import Gateway
from services.ledger import Ledger, counts, jobs
from tasks.admit import in_doubt_first
from tasks.check_models import why_not_callable
from tasks.prune_conversations import fit_budget
from tasks.run import Brake, Halt, Run
from tasks.step import shard_step


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


@shard_step(task_run_name="count {shard}")
async def count_tokens(run: Run, shard: Shard) -> int:
    """Count the jobs of a shard, together, and write the model of each down; how many found one."""
    queued = await run.ledger.off_loop(jobs.of_shard, run.run_id, shard)
    known = await run.ledger.off_loop(counts.known, [job.fingerprint for job, _ in queued])
    on_scale = [
        JobOnScale(job, Payload.restored(body), known.setdefault(job.fingerprint, {})) for job, body in queued
    ]
    wrong = [(one.job.fingerprint, model) for one in on_scale for model in without_impossible(one)]
    await run.ledger.off_loop(counts.forget, wrong)
    before = {fingerprint: set(models) for fingerprint, models in known.items()}
    await asyncio.gather(
        *(count_job(run.scale, run.gateway, one, run.halt, run.count_brake) for one in on_scale)
    )
    if run.policy.prune.on_over_budget != "review":
        await asyncio.gather(*(_fit_budget(run, one) for one in on_scale))
    fresh = [
        TokenCount(one.job.fingerprint, model, tokens, method_of(one.job))
        for one in on_scale
        for model, tokens in one.counted.items()
        if model not in before.get(one.job.fingerprint, ())
    ]
    return await run.ledger.off_loop(_write, run, fresh, on_scale)


async def _fit_budget(run: Run, one: JobOnScale) -> None:
    """Bring a job that is over a budget within it, as the policy says; it is written down with its weight."""
    if one.failure is not None or one.impossible is not None or run.halt.reason:
        return
    try:
        one.fitted = await fit_budget(run, one.job, one.payload, one.counted, _update(run, one))
    except CallFailed as error:
        one.failure = error.as_failure()
        run.halt.stop(stops_run(one.failure))


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
    fitted = [one.fitted for one in on_scale if one.fitted is not None]
    counts.add(ledger, [*fresh, *(count for one in fitted for count in one.counts)])
    updates = in_doubt_first(run, [one.job for one in on_scale], [_update(run, one) for one in on_scale])
    jobs.record(ledger, run.run_id, updates, fitted)
    return sum(update.ending is None for update in updates)


def _update(run: Run, one: JobOnScale) -> JobUpdate:
    if one.failure is not None:
        return JobUpdate(one.job.row_number, ending=uncounted(one.failure))
    if one.impossible is not None:
        return not_a_count(one.job, one.impossible)
    if one.fitted is not None:
        sent = one.fitted.estimate
        return JobUpdate(
            one.job.row_number, model=sent.model, input_tokens=sent.input_tokens, method=sent.method
        )
    return weighed(run.scale, one.job, one.counted, stopped=run.halt.reason)
