"""What a job that is over a budget may become: how heavy it may be on each route, and on which one it fits."""

from dataclasses import replace

from rules.limits import over_limits
from rules.models import input_limit
from rules.prices import Unpriced
from rules.scale import Scale
from schemas.estimate import Estimate
from schemas.fitted_job import JobBefore
from schemas.job import JobUpdate, QueuedJob
from schemas.model_facts import ModelFacts
from schemas.outcome import Method, Reason
from schemas.payload.api_rules import refusal
from schemas.payload.payload import Payload
from schemas.policy_sections import Route


def over_budget(scale: Scale, job: QueuedJob, update: JobUpdate) -> JobBefore | None:
    """The job as it stands over a budget or every route, or None when it is not, or nothing may be done about it.

    What a person approved is left as it was approved, and what the provider does not count in full is left to a
    person.

    Args:
        scale: what it was weighed with.
        job: the job.
        update: what its weight makes of it.
    """
    if job.review_id is not None or job.traits.uncounted.parts:
        return None
    if update.model is None or update.input_tokens is None:
        return None
    if update.ending is not None and update.ending.reason is not Reason.NO_ROUTE:
        return None
    estimate = estimate_on(scale, job, update.model, update.input_tokens)
    if update.ending is None and (estimate is None or within(scale, job, estimate)):
        return None
    expected = None if estimate is None else estimate.expected
    return JobBefore(update.model, update.input_tokens, expected)


def estimate_on(scale: Scale, job: QueuedJob, model: str, tokens: int) -> Estimate | None:
    """The estimate of a job under a model that counted it, or None when it has no price there."""
    try:
        return scale.estimate(replace(job, model=model, input_tokens=tokens, method=Method.COUNTED))
    except Unpriced:
        return None


def within(scale: Scale, job: QueuedJob, estimate: Estimate) -> bool:
    """Whether a job is within its input and cost limits with this estimate."""
    return over_limits(job, estimate, scale.policy) is None


def open_routes(scale: Scale, job: QueuedJob) -> list[tuple[Route, ModelFacts]]:
    """The routes whose models take such a request, its weight aside, in climbing order."""
    found = [(route, scale.models.callable.get(route.model)) for route in scale.routes(job)]
    return [
        (route, facts)
        for route, facts in found
        if facts is not None and refusal(job.traits, job.max_tokens, facts, scale.policy.mode) is None
    ]


def allowance(scale: Scale, job: QueuedJob, route: Route, facts: ModelFacts) -> int:
    """About how many input tokens a job may have on a route: its limits, the route's, and what its money pays for.

    It is exact for a job of these traits. One that lost its pictures by a cut may have another margin: so what a cut
    comes to is judged by `within`.
    """
    limits = scale.limits(job)
    most = min(route.up_to_input_tokens, input_limit(facts, job.traits))
    most = most if limits.tokens is None else min(most, limits.tokens)
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        estimate = estimate_on(scale, job, route.model, middle)
        if estimate is not None and within(scale, job, estimate):
            low = middle
        else:
            high = middle - 1
    return low


def roomiest(scale: Scale, job: QueuedJob) -> tuple[Route, int] | None:
    """The route on which a job may have the most input tokens, with that number; of equal ones the first."""
    rooms = [(route, allowance(scale, job, route, facts)) for route, facts in open_routes(scale, job)]
    best = max(rooms, key=lambda room: room[1], default=None)
    return best if best is not None and best[1] > 0 else None


def smaller_route(scale: Scale, job: QueuedJob, target: Route, tokens: int) -> Route | None:
    """The first route before this one that would take a job of this weight, by its limit."""
    for route, _ in open_routes(scale, job):
        if route.up_to_input_tokens >= target.up_to_input_tokens:
            return None
        if tokens <= route.up_to_input_tokens:
            return route
    return None


def fitting_estimate(scale: Scale, job: QueuedJob, route: Route, tokens: int) -> Estimate | None:
    """The estimate of a job on a route, or None when it is over the route's limit, the window or a budget of its own."""
    most = min(route.up_to_input_tokens, scale.models.reads(route.model, job.traits))
    estimate = estimate_on(scale, job, route.model, tokens) if tokens <= most else None
    return estimate if estimate is not None and within(scale, job, estimate) else None


def cheaper_routes(scale: Scale, job: QueuedJob, before: JobBefore) -> list[Route]:
    """The routes before the one that a job was over a budget on, each up to all that its model reads, the next one first.

    None for a pinned job: the model belongs to what it is.
    """
    if job.pinned_model is not None:
        return []
    names = [route.model for route in scale.policy.routes]
    place = names.index(before.model) if before.model in names else 0
    earlier = set(names[:place])
    return [
        route.model_copy(update={"up_to_input_tokens": scale.models.reads(route.model, job.traits)})
        for route, _ in reversed(open_routes(scale, job))
        if route.model in earlier
    ]


def as_sent(job: QueuedJob, payload: Payload) -> QueuedJob:
    """The job with what is asked about its payload taken from another one; it stays the same job."""
    return replace(job, traits=payload.traits, cache_ttl=payload.cache_ttl)
