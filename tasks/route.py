"""Route: each job climbs the routes to the first whose own model counts it light enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.job import Shard
from schemas.model_facts import ModelFacts
from schemas.outcome import Decision, Method, Outcome, Reason
from schemas.policy import Route
from services.ledger import counts, jobs
from services.ledger.jobs import QueuedJob, Verdict
from tasks.start_run import Run


@dataclass(frozen=True, slots=True)
class Routed:
    """The job goes to this model, which counted it at so many input tokens."""

    model: str
    input_tokens: int


@dataclass(frozen=True, slots=True)
class NeedsCount:
    """The climb cannot go on before this model has counted the job."""

    model: str


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No route takes the job."""

    why: str


def climb(
    routes: Sequence[Route], models: Mapping[str, ModelFacts], max_tokens: int, counted: Mapping[str, int]
) -> Routed | NeedsCount | NoRoute:
    """Where a job stands on its way up the routes.

    Args:
        routes: in climbing order.
        models: what the provider says of each route's model.
        max_tokens: the job's cap on output; a model that takes less is passed by.
        counted: input tokens by model, as far as known.
    """
    heaviest = 0
    for route in routes:
        facts = models[route.model]
        if facts.max_tokens is not None and max_tokens > facts.max_tokens:
            continue
        if route.model not in counted:
            return NeedsCount(route.model)
        heaviest = counted[route.model]
        if heaviest <= min(route.up_to_input_tokens, facts.max_input_tokens or route.up_to_input_tokens):
            return Routed(route.model, heaviest)
    if heaviest == 0:
        return NoRoute(f"no routed model takes max_tokens {max_tokens:,}")
    return NoRoute(f"{heaviest:,} input tokens, over the largest route's {routes[-1].up_to_input_tokens:,}")


def routes_of(run: Run, job: QueuedJob) -> Sequence[Route]:
    """The policy's routes, or the one to the model that the job is pinned to."""
    if job.pinned_model is None:
        return run.policy.routes
    window = run.models[job.pinned_model].max_input_tokens or 2**31
    return (Route(name="pinned", model=job.pinned_model, up_to_input_tokens=window),)


def route_shard(run: Run, shard: Shard) -> int:
    """Write down the model of each counted job of a shard; how many found one."""
    queued = [job for job, _ in jobs.of_shard(run.ledger, run.run_id, shard)]
    counted = counts.known(run.ledger, [job.fingerprint for job in queued])
    verdicts = [_verdict(run, job, counted.get(job.fingerprint, {})) for job in queued]
    jobs.record(run.ledger, run.run_id, verdicts)
    return sum(verdict.outcome is None for verdict in verdicts)


def _verdict(run: Run, job: QueuedJob, counted: Mapping[str, int]) -> Verdict:
    found = climb(routes_of(run, job), run.models, job.max_tokens, counted)
    if isinstance(found, Routed):
        return Verdict(job.row_number, found.model, found.input_tokens, Method.COUNTED)
    why = found.why if isinstance(found, NoRoute) else f"it was not counted under {found.model}"
    heaviest = max(counted.items(), key=lambda item: item[1], default=(None, None))
    return Verdict(
        job.row_number,
        heaviest[0],
        heaviest[1],
        Method.COUNTED if counted else Method.UNCOUNTABLE,
        Decision.REVIEW,
        Outcome.REVIEW,
        Reason.NO_ROUTE,
        why,
    )


@task(name="route", cache_policy=NO_CACHE, persist_result=False, task_run_name="route {shard}")
def route(run: Run, shard: Shard) -> int:
    """Route the counted jobs of a shard; how many found a model."""
    return route_shard(run, shard)
