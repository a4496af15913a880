"""Count: what each job weighs under every model its climb asks about, by the provider's own scale. Free."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.climb import NeedsCount, NoRoute, Routed, climb
from rules.prices import Unpriced
from schemas.estimate import TokenCount
from schemas.failures import CallFailed, Refused
from schemas.job import JobUpdate, QueuedJob, Shard
from schemas.money import NanoUsd
from schemas.outcome import Decision, Method, Outcome, Reason
from schemas.payload.api_rules import refusal, sentences
from schemas.payload.bounds import input_bound
from schemas.payload.payload import Payload
from services.ledger import counts, jobs
from tasks.admit import estimate_of
from tasks.route import asked_of, method_of, routes_of
from tasks.start_run import Run, stopping

#: statuses that mean the payload itself is wrong
_WRONG_PAYLOAD = (400, 413, 422)


async def count_job(run: Run, job: QueuedJob, payload: Payload, counted: dict[str, int]) -> JobUpdate | None:
    """Count one job until its climb is decided, adding to `counted`.

    Of a job that the provider does not count in full, the rest is counted, and its bound takes the count's place.

    Args:
        run: the run.
        job: the job.
        payload: its payload: the same object makes the count's body and the paid one's.
        counted: input tokens by model, as far as known; what is counted now is added.

    Returns:
        What ends the job here (it cannot be counted, or is refused), or None when its weight is known.
    """
    if why := await _unusable_pin(run, job):
        return why
    if job.traits.uncounted.sampling_calls is None:
        return _parked(job, "nothing bounds it beforehand, and it is never sent on a guess")
    asked = asked_of(run, job)
    while isinstance(step := climb(routes_of(run, job), run.models, asked, counted), NeedsCount):
        if run.stopped:
            return _deferred(job, run.stopped)
        try:
            weight = await _weigh(run, job, payload, step.model)
        except CallFailed as error:
            return _ended(run, job, error)
        if weight is None:
            return _parked(job, f"nothing is known that bounds it under {step.model}")
        counted[step.model] = weight
    return _bounded(run, job, step, counted) if job.traits.uncounted.parts else None


def _bounded(run: Run, job: QueuedJob, step: Routed | NoRoute, counted: dict[str, int]) -> JobUpdate | None:
    """What becomes of a job whose bound is known: it waits with it, unless the policy or a person let it pass."""
    if not counted or run.policy.uncountable.on == "bound" or job.review_id is not None:
        return None
    model = step.model if isinstance(step, Routed) else max(counted, key=counted.__getitem__)
    bound = f"at most {counted[model]:,} input tokens under {model}{_calls(job)}"
    weighed = replace(job, model=model, input_tokens=counted[model], method=Method.BOUNDED)
    try:
        cost: NanoUsd | None = estimate_of(run, weighed).worst_case
    except Unpriced:
        cost = None
    return replace(
        _parked(job, bound), model=model, input_tokens=counted[model], method=Method.BOUNDED, worst_case=cost
    )


async def _unusable_pin(run: Run, job: QueuedJob) -> JobUpdate | None:
    """What ends a job whose pinned model cannot be called or would refuse it, or None."""
    if not job.pinned_model:
        return None
    try:
        why = await run.admit_model(job.pinned_model)
    except CallFailed as error:
        return _ended(run, job, error)
    if why:
        return _rejected(job, Reason.INVALID_ROW, f"model: {why}")
    facts = run.models[job.pinned_model]
    refused = refusal(job.traits, job.max_tokens, facts, run.policy.mode)
    if refused is None:
        return None
    return _rejected(job, Reason.INVALID_ROW, f"{refused.column}: {sentences([(facts.model, refused)])}")


async def _weigh(run: Run, job: QueuedJob, payload: Payload, model: str) -> int | None:
    """Input tokens of a job under a model: the provider's count, or a bound, or None when there is none."""
    if not job.traits.uncounted.parts:
        return await run.gateway.count(payload.count_body(model))
    rest = await run.gateway.count(payload.bound_body(model))
    return input_bound(job.traits, rest, run.models[model])


async def count_shard(run: Run, shard: Shard) -> int:
    """Count the jobs of a shard, together; how many have their weight now."""
    queued = await asyncio.to_thread(jobs.of_shard, run.ledger, run.run_id, shard)
    counted = await asyncio.to_thread(counts.known, run.ledger, [job.fingerprint for job, _ in queued])
    before = {fingerprint: set(models) for fingerprint, models in counted.items()}
    verdicts = await asyncio.gather(
        *(
            count_job(run, job, Payload.restored(body), counted.setdefault(job.fingerprint, {}))
            for job, body in queued
        )
    )
    methods = {job.fingerprint: method_of(job) for job, _ in queued}
    fresh = [
        TokenCount(fingerprint, model, tokens, methods[fingerprint])
        for fingerprint, models in counted.items()
        for model, tokens in models.items()
        if model not in before.get(fingerprint, ())
    ]
    ended = [verdict for verdict in verdicts if verdict]
    await asyncio.to_thread(_write, run, fresh, ended)
    return len(queued) - len(ended)


def _write(run: Run, fresh: Sequence[TokenCount], ended: Sequence[JobUpdate]) -> None:
    counts.add(run.ledger, fresh)
    jobs.record(run.ledger, run.run_id, ended)


def _ended(run: Run, job: QueuedJob, error: CallFailed) -> JobUpdate:
    """What a count that could not be had makes of its job; a closed account stops the run."""
    if isinstance(error, Refused) and error.status in _WRONG_PAYLOAD:
        return _rejected(job, Reason.REFUSED_BY_API, f"{error}: {error.explanation}")
    if why := stopping(error):
        run.stopped = why
        return _deferred(job, why)
    return JobUpdate(
        job.row_number,
        outcome=Outcome.FAILED,
        reason=Reason.API_UNAVAILABLE,
        detail=f"it could not be counted: {error}",
    )


def _parked(job: QueuedJob, bound: str) -> JobUpdate:
    parts = " and ".join(
        f"{'an' if part[0] in 'aeiou' else 'a'} {part}" for part in job.traits.uncounted.parts
    )
    return JobUpdate(
        job.row_number,
        method=Method.UNCOUNTABLE,
        decision=Decision.REVIEW,
        outcome=Outcome.REVIEW,
        reason=Reason.UNCOUNTABLE,
        detail=f"the provider does not count {parts}; {bound}",
    )


def _calls(job: QueuedJob) -> str:
    calls, searches = job.traits.uncounted.sampling_calls or 1, job.traits.uncounted.web_searches
    if calls == 1:
        return ""
    return f", in {calls:,} calls" + (f" with {searches:,} web searches" if searches else "")


def _rejected(job: QueuedJob, reason: Reason, detail: str) -> JobUpdate:
    return JobUpdate(
        job.row_number, decision=Decision.REJECT, outcome=Outcome.REJECTED, reason=reason, detail=detail
    )


def _deferred(job: QueuedJob, why: Reason) -> JobUpdate:
    return JobUpdate(
        job.row_number,
        decision=Decision.DEFER,
        outcome=Outcome.DEFERRED,
        reason=why,
        detail="the run stopped before this job was counted; the next run takes it up",
    )


@task(name="count_tokens", cache_policy=NO_CACHE, persist_result=False, task_run_name="count {shard}")
async def count_tokens(run: Run, shard: Shard) -> int:
    """Count the jobs of a shard; how many have their weight now."""
    return await count_shard(run, shard)
