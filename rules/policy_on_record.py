"""The policy that a run on record began with, also when this version would no longer accept it."""

from typing import Any

from pydantic import ValidationError

from schemas.policy import Policy
from schemas.run import RunOnRecord

#: what a report compares with where no route of the run can be read
_LARGEST = "claude-opus-5-5"
#: what says how a run is priced and shown
_KEPT_LONGEST = {"name", "mode", "on_unknown", "routes", "prices"}


def policy_on_record(found: RunOnRecord) -> tuple[Policy, list[str]]:
    """The policy of a run, and which of its sections are not as they were written.

    A section that no longer validates is left to its defaults: what the run sent must still be settled. What the row
    of the run itself says, its mode and whether it parks what is unknown, holds in any case.
    """
    sections = dict(found.policy)
    dropped: list[str] = []
    while True:
        try:
            return Policy.model_validate(sections), dropped
        except ValidationError as error:
            wrong = {str(item["loc"][0]) for item in error.errors() if item["loc"]}
            # a rule over several sections names none of them
            wrong = wrong or (set(sections) - _KEPT_LONGEST) or set(sections)
            if wrong <= set(dropped):
                raise
            dropped += sorted(wrong - set(dropped))
            sections = {name: value for name, value in sections.items() if name not in wrong}
            sections |= _needed(found, sections)


def _route(on_record: Any) -> dict[str, Any]:
    """Stands in for routes that are not valid: nothing new is sent under such a policy."""
    routes = on_record if isinstance(on_record, list) else []
    models = [route["model"] for route in routes if isinstance(route, dict) and "model" in route]
    model = models[-1] if models and isinstance(models[-1], str) else _LARGEST
    return {"name": "on record", "model": model, "up_to_input_tokens": 1}


def _needed(found: RunOnRecord, sections: dict[str, Any]) -> dict[str, Any]:
    """What a policy cannot be without, where it is missing."""
    on_unknown = "review" if found.parks_unknown else "resend"
    needed = {
        "name": found.run_id,
        "mode": found.mode,
        "on_unknown": on_unknown,
        "routes": (_route(found.policy.get("routes")),),
    }
    return {name: value for name, value in needed.items() if name not in sections}
