"""The effort that a run asks of every job in place of the job's own: whether its models take it, and where it stands."""

from typing import Any

from rules.models import Models
from schemas.outcome import Mode
from schemas.payload.api_rules import RULES, refusal, sentences
from schemas.payload.traits import Traits


def effort_refused(effort: str, models: Models, mode: Mode) -> str | None:
    """Why no job of a run can have this effort, as a sentence; None where a route's model takes it.

    A job that is pinned, or that asks for what only some models take, is judged by itself when its row is read.

    Args:
        effort: as `output_config.effort` would have it.
        models: those of the run.
        mode: of the run.
    """
    if effort not in RULES.values["effort"]:
        return f"The effort {effort!r} is none that the API knows; name one of {', '.join(RULES.values['effort'])}."
    refused = {}
    for facts in models.for_pin(None):
        why = refusal(Traits(effort=effort), 1, facts, mode)
        if why is None:
            return None
        refused[facts.model] = why
    return f"No route takes this effort: {sentences(refused.items())}." if refused else None


def with_effort(request: dict[str, Any], effort: str) -> dict[str, Any]:
    """A request at this effort, whatever it asked for; one whose output_config is no object is left as it is.

    It is another payload with another fingerprint, so that an answer at one effort never answers the job at another.
    """
    config = request.get("output_config")
    if not isinstance(config, dict | None):
        return request
    return request | {"output_config": (config or {}) | {"effort": effort}}
