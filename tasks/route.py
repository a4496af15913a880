"""Route: each job climbs the routes to the first whose own model counts it light enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.api_rules import limits_of, refusal
from schemas.job import Shard
from schemas.model_facts import ModelFacts
from schemas.outcome import Decision, Method, Mode, Outcome, Reason
from schemas.policy import Route
from schemas.traits import Traits
from services.ledger import counts, jobs
from services.ledger.jobs import QueuedJob, Verdict
from tasks.start_run import Run


@dataclass(frozen=True, slots=True)
class Asked:
    """What a job asks of a model, its weight aside.

    Attributes:
        traits: its payload's.
        max_tokens: its cap on output, in tokens.
        mode: how it would be called.
    """

    traits: Traits
    max_tokens: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class Routed:
    """The job goes to this model, under which it weighs so many input tokens."""

    model: str
    input_tokens: int


@dataclass(frozen=True, slots=True)
class NeedsCount:
    """The climb cannot go on before this model has counted the job."""

    model: str


@dataclass(frozen=True, slots=True)
class NoRoute:
    """No route takes the job: why each was passed by."""

    why: str


def climb(
    routes: Sequence[Route], models: Mapping[str, ModelFacts], asked: Asked, counted: Mapping[str, int]
) -> Routed | NeedsCount | NoRoute:
    """Where a job stands on its way up the routes.

    Args:
        routes: in climbing order.
        models: what the provider says of each route's model.
        asked: what the job asks for; a model that refuses it is passed by.
        counted: input tokens by model, as far as known.
    """
    passed: list[str] = []
    for route in routes:
        facts = models[route.model]
        refused = refusal(asked.traits, asked.max_tokens, facts, asked.mode)
        if refused is not None:
            passed.append(f"{route.name} ({route.model}): {refused.column}: {refused.reason}")
            continue
        if route.model not in counted:
            return NeedsCount(route.model)
        weight, limit = counted[route.model], _limit(route, facts, asked.traits)
        if weight <= limit:
            return Routed(route.model, weight)
        passed.append(f"{route.name} ({route.model}): {weight:,} input tokens, over its {limit:,}")
    return NoRoute(f"no route takes it: {'; '.join(passed)}")


def _limit(route: Route, facts: ModelFacts, traits: Traits) -> int:
    """The most input tokens a route takes: its own limit, and no more than the model reads in all its calls."""
    window = limits_of(facts).context_window
    calls = traits.sampling_calls or 1
    return route.up_to_input_tokens if window is None else min(route.up_to_input_tokens, window * calls)


def asked_of(run: Run, job: QueuedJob) -> Asked:
    """What a job asks of a model in this run."""
    return Asked(job.traits, job.max_tokens, run.policy.mode)


def routes_of(run: Run, job: QueuedJob) -> Sequence[Route]:
    """The policy's routes, or the one to the model that the job is pinned to, up to all that it can read."""
    if job.pinned_model is None:
        return run.policy.routes
    window = limits_of(run.models[job.pinned_model]).context_window
    reads = 2**31 if window is None else window * (job.traits.sampling_calls or 1)
    return (Route(name="pinned", model=job.pinned_model, up_to_input_tokens=reads),)


def method_of(job: QueuedJob) -> Method:
    """How a job's figure is got: by the provider, or, where it does not count all of it, by a bound."""
    return Method.BOUNDED if job.traits.uncountable else Method.COUNTED


def route_shard(run: Run, shard: Shard) -> int:
    """Write down the model of each counted job of a shard; how many found one."""
    queued = [job for job, _ in jobs.of_shard(run.ledger, run.run_id, shard)]
    counted = counts.known(run.ledger, [job.fingerprint for job in queued])
    verdicts = [_verdict(run, job, counted.get(job.fingerprint, {})) for job in queued]
    jobs.record(run.ledger, run.run_id, verdicts)
    return sum(verdict.outcome is None for verdict in verdicts)


def _verdict(run: Run, job: QueuedJob, counted: Mapping[str, int]) -> Verdict:
    found = climb(routes_of(run, job), run.models, asked_of(run, job), counted)
    method = method_of(job)
    if isinstance(found, Routed):
        return Verdict(job.row_number, found.model, found.input_tokens, method)
    why = found.why if isinstance(found, NoRoute) else f"it was not counted under {found.model}"
    heaviest = max(counted.items(), key=lambda item: item[1], default=(None, None))
    return Verdict(
        job.row_number,
        heaviest[0],
        heaviest[1],
        method if counted else Method.UNCOUNTABLE,
        Decision.REVIEW,
        Outcome.REVIEW,
        Reason.NO_ROUTE,
        why,
    )


@task(name="route", cache_policy=NO_CACHE, persist_result=False, task_run_name="route {shard}")
def route(run: Run, shard: Shard) -> int:
    """Route the counted jobs of a shard; how many found a model."""
    return route_shard(run, shard)
