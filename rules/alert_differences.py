"""What differs between an alert as it is made and as a Prefect server has it."""

from collections.abc import Mapping
from typing import Any

#: what an operator may change in the Prefect UI, and how it is called
_FIELDS = {
    "enabled": "whether it is on",
    "trigger": "what it listens to",
    "actions": "what it sends and where to",
    "description": "its description",
}


def differing_alert_fields(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The names of the fields that differ.

    Args:
        ours: the fields as they are made.
        theirs: as the server has them.
    """
    return [name for name in _FIELDS if ours[name] != theirs[name]]


def alert_difference(name: str, fields: list[str]) -> str:
    """What an operator changed of an alert, as one sentence."""
    return f"{name}: {' and '.join(_FIELDS[field] for field in fields)} differs on the server."
