"""Route: each job climbs the routes to the first whose own model counts it light enough."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.models import input_limit
from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload.api_rules import refusal
from schemas.payload.traits import Traits
from schemas.policy_sections import Route


@dataclass(frozen=True, slots=True)
class Demand:
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
    """The job goes to this model, under which it weighs this many input tokens."""

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
    routes: Sequence[Route], models: Mapping[str, ModelFacts], asked: Demand, counted: Mapping[str, int]
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
    return min(route.up_to_input_tokens, input_limit(facts, traits))
