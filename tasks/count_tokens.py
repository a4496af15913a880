"""Count: what each job weighs under every model its climb asks about, by the provider's own scale. Free."""

import asyncio
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.job import Shard
from schemas.outcome import Decision, Method, Outcome, Reason
from schemas.payload import Payload
from services.failures import CallFailed, Refused
from services.ledger import counts, jobs
from services.ledger.counts import Count
from services.ledger.jobs import QueuedJob, Verdict
from tasks.route import NeedsCount, climb, routes_of
from tasks.start_run import Run, stopping

#: statuses that mean the payload itself is wrong
_WRONG_PAYLOAD = (400, 413, 422)


async def count_job(run: Run, job: QueuedJob, payload: Payload, counted: dict[str, int]) -> Verdict | None:
    """Count one job until its climb is decided, adding to `counted`.

    Args:
        run: the run.
        job: the job.
        payload: its payload: the same object makes the count's body and the paid one's.
        counted: input tokens by model, as far as known; what is counted now is added.

    Returns:
        What ends the job here (it cannot be counted, or is refused), or None when its weight is known.
    """
    if parts := job.traits.uncountable:
        return _parked(job, f"the provider does not count a {parts[0]}; it is never sent on a guess")
    if job.pinned_model:
        try:
            why = await run.admit_model(job.pinned_model)
        except CallFailed as error:
            return _ended(run, job, error)
        if why:
            return _rejected(job, Reason.INVALID_ROW, f"model: {why}")
    while isinstance(step := climb(routes_of(run, job), run.models, job.max_tokens, counted), NeedsCount):
        if run.stopped:
            return _deferred(job, run.stopped)
        try:
            counted[step.model] = await run.gateway.count(payload.count_body(step.model))
        except CallFailed as error:
            return _ended(run, job, error)
    return None


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
    fresh = [
        Count(fingerprint, model, tokens)
        for fingerprint, models in counted.items()
        for model, tokens in models.items()
        if model not in before.get(fingerprint, ())
    ]
    ended = [verdict for verdict in verdicts if verdict]
    await asyncio.to_thread(_write, run, fresh, ended)
    return len(queued) - len(ended)


def _write(run: Run, fresh: Sequence[Count], ended: Sequence[Verdict]) -> None:
    counts.add(run.ledger, fresh)
    jobs.record(run.ledger, run.run_id, ended)


def _ended(run: Run, job: QueuedJob, error: CallFailed) -> Verdict:
    """What a count that could not be had makes of its job; a closed account stops the run."""
    if isinstance(error, Refused) and error.status in _WRONG_PAYLOAD:
        return _rejected(job, Reason.REFUSED_BY_API, f"{error}: {error.explanation}")
    if why := stopping(error):
        run.stopped = why
        return _deferred(job, why)
    return Verdict(
        job.row_number,
        outcome=Outcome.FAILED,
        reason=Reason.API_UNAVAILABLE,
        detail=f"it could not be counted: {error}",
    )


def _parked(job: QueuedJob, detail: str) -> Verdict:
    return Verdict(
        job.row_number,
        method=Method.UNCOUNTABLE,
        decision=Decision.REVIEW,
        outcome=Outcome.REVIEW,
        reason=Reason.UNCOUNTABLE,
        detail=detail,
    )


def _rejected(job: QueuedJob, reason: Reason, detail: str) -> Verdict:
    return Verdict(
        job.row_number, decision=Decision.REJECT, outcome=Outcome.REJECTED, reason=reason, detail=detail
    )


def _deferred(job: QueuedJob, why: Reason) -> Verdict:
    return Verdict(
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
