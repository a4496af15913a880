"""Identity: whether an answer to the same request serves a job as it is now, and what is said where it does not."""

from collections.abc import Mapping

from schemas.bill import plain_model


def same_model(pin: str | None, model: str) -> bool:
    """Whether an attempt under a model counts for a job with this pin: without one, every model does."""
    return pin is None or plain_model(pin) == plain_model(model)


def paid_again_line(changed: Mapping[str, int]) -> str:
    """The sentence about answered jobs that are to be paid for again: how many, by what changed."""
    parts = ", ".join(f"{number:,} {what}" for what, number in changed.items())
    total = sum(changed.values())
    return f"{total:,} jobs were answered before and are weighed and paid for again: {parts}."
