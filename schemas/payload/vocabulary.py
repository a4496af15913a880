"""The vocabularies of API parameters, as api_rules.toml lists them."""

from schemas.payload.api_rules import RULES


def is_one_of(name: str, value: object) -> bool:
    """Whether a value is a word of the vocabulary `name`."""
    return isinstance(value, str) and value in RULES.values[name]


def one_of(name: str) -> str:
    """The vocabulary `name` as the end of a sentence."""
    return f"must be one of {', '.join(sorted(RULES.values[name]))}"
