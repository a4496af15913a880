"""The way to think that a run asks of every job in place of the job's own: whether its models take it, and where it stands."""

from typing import Any

from rules.models import Models
from schemas.outcome import Mode
from schemas.payload.api_rules import RULES, refusal, sentences
from schemas.payload.traits import Traits
from schemas.run import OWN_WAY, Way


def way_refused(way: Way, models: Models, mode: Mode) -> str | None:
    """Why no job of a run can think in this way, as a sentence; None where a route's model takes it.

    A job that is pinned, or that asks for what only some models take, is judged by itself when its row is read.

    Args:
        way: an effort, a budget, or neither.
        models: those of the run.
        mode: of the run.
    """
    efforts, least = RULES.values["effort"], RULES.limits.thinking_budget_tokens
    if way.effort is not None and way.budget is not None:
        return "An effort and a thinking budget are two ways to think; ask for one of them."
    if way.effort is not None and way.effort not in efforts:
        return f"The effort {way.effort!r} is none that the API knows; name one of {', '.join(efforts)}."
    if way.budget is not None and way.budget < least:
        return f"A thinking budget has at least {least:,} tokens, not {way.budget:,}."
    thinking = None if way.budget is None else "enabled"
    refused = {}
    for facts in models.for_pin(None):
        why = refusal(Traits(thinking=thinking, effort=way.effort), 1, facts, mode)
        if why is None:
            return None
        refused[facts.model] = why
    return f"No route takes this way to think: {sentences(refused.items())}." if refused else None


def with_way(request: dict[str, Any], way: Way) -> dict[str, Any]:
    """A request that thinks in this way, whatever it asked for; one whose output_config is no object is left as it is.

    It is another payload with another fingerprint, so that an answer at one way never answers the job at another. An
    effort leaves `thinking` alone; a budget takes the place of both.
    """
    config = request.get("output_config")
    if way == OWN_WAY or not isinstance(config, dict | None):
        return request
    if way.effort is not None:
        return request | {"output_config": (config or {}) | {"effort": way.effort}}
    left = {name: value for name, value in (config or {}).items() if name != "effort"}
    asked = {name: value for name, value in request.items() if name != "output_config"}
    if left:
        asked["output_config"] = left
    return asked | {"thinking": {"type": "enabled", "budget_tokens": way.budget}}
