"""The policy that a run on record began with, also when this version would no longer accept it."""

from typing import Any

from pydantic import ValidationError

from schemas.policy import Policy
from schemas.run import RunOnRecord

#: stands in for routes that cannot be read: nothing new is sent under such a policy
_NO_ROUTE = {"name": "not on record", "model": "unknown", "up_to_input_tokens": 1}
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


def _needed(found: RunOnRecord, sections: dict[str, Any]) -> dict[str, Any]:
    """What a policy cannot be without, where it is missing."""
    on_unknown = "review" if found.parks_unknown else "resend"
    needed = {
        "name": found.run_id,
        "mode": found.mode,
        "on_unknown": on_unknown,
        "routes": (_NO_ROUTE,),
    }
    return {name: value for name, value in needed.items() if name not in sections}
