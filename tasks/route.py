"""Route: each job climbs the routes to the first whose own model counts it light enough."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.climb import Demand, NoRoute, Routed, climb
from rules.prices import Unpriced
from schemas.job import JobUpdate, QueuedJob, Shard
from schemas.money import NanoUsd
from schemas.outcome import Decision, Method, Outcome, Reason
from schemas.payload.api_rules import limits_of
from schemas.policy import Route
from services.ledger import counts, jobs
from tasks.admit import estimate_of
from tasks.start_run import Run


def asked_of(run: Run, job: QueuedJob) -> Demand:
    """What a job asks of a model in this run."""
    return Demand(job.traits, job.max_tokens, run.policy.mode)


def routes_of(run: Run, job: QueuedJob) -> Sequence[Route]:
    """The policy's routes, or the one to the model that the job is pinned to, up to all that it can read.

    What a person let pass may take all that the last route's model can read.
    """
    if job.pinned_model is None and job.review_id is None:
        return run.policy.routes
    last = run.policy.routes[-1]
    model = job.pinned_model or last.model
    window = limits_of(run.models[model]).context_window
    reads = 2**31 if window is None else window * (job.traits.uncounted.sampling_calls or 1)
    if job.pinned_model:
        return (Route(name="pinned", model=model, up_to_input_tokens=reads),)
    most = max(reads, last.up_to_input_tokens)
    return (*run.policy.routes[:-1], last.model_copy(update={"up_to_input_tokens": most}))


def method_of(job: QueuedJob) -> Method:
    """How a job's figure is got: by the provider, or, where it does not count all of it, by a bound."""
    return Method.BOUNDED if job.traits.uncounted.parts else Method.COUNTED


def route_shard(run: Run, shard: Shard) -> int:
    """Write down the model of each counted job of a shard; how many found one."""
    queued = [job for job, _ in jobs.of_shard(run.ledger, run.run_id, shard)]
    counted = counts.known(run.ledger, [job.fingerprint for job in queued])
    verdicts = [_verdict(run, job, counted.get(job.fingerprint, {})) for job in queued]
    jobs.record(run.ledger, run.run_id, verdicts)
    return sum(verdict.outcome is None for verdict in verdicts)


def _verdict(run: Run, job: QueuedJob, counted: Mapping[str, int]) -> JobUpdate:
    found = climb(routes_of(run, job), run.models, asked_of(run, job), counted)
    method = method_of(job)
    if isinstance(found, Routed):
        return JobUpdate(job.row_number, found.model, found.input_tokens, method)
    why = found.why if isinstance(found, NoRoute) else f"it was not counted under {found.model}"
    # where a person who lets it pass would send it
    last = routes_of(run, job)[-1].model
    model = last if last in counted else max(counted, key=counted.__getitem__, default=None)
    tokens = None if model is None else counted[model]
    return JobUpdate(
        job.row_number,
        model,
        tokens,
        method if counted else Method.UNCOUNTABLE,
        Decision.REVIEW,
        Outcome.REVIEW,
        Reason.NO_ROUTE,
        why,
        worst_case=_cost_on(run, job, last, tokens) if model == last else None,
    )


def _cost_on(run: Run, job: QueuedJob, model: str, tokens: int | None) -> NanoUsd | None:
    """The worst case of a job on a model that can read it, or None."""
    window = limits_of(run.models[model]).context_window
    if window is not None and (tokens or 0) > window * (job.traits.uncounted.sampling_calls or 1):
        return None
    try:
        weighed = replace(job, model=model, input_tokens=tokens, method=method_of(job))
        return estimate_of(run, weighed).worst_case
    except Unpriced:
        return None


@task(name="route", cache_policy=NO_CACHE, persist_result=False, task_run_name="route {shard}")
def route(run: Run, shard: Shard) -> int:
    """Route the counted jobs of a shard; how many found a model."""
    return route_shard(run, shard)
