"""Identity: whether an answer to the same request serves a job as it is now, and by what a refused row is known again."""

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from schemas.bill import plain_model
from schemas.row import RowFiles


def same_model(pin: str | None, model: str) -> bool:
    """Whether an attempt under a model counts for a job with this pin: without one, every model does."""
    return pin is None or plain_model(pin) == plain_model(model)


class Made(NamedTuple):
    """What an attempt was made with: its model, and the one that its job was pinned to, if it was."""

    model: str
    pin: str | None


def same_job(one: Made, other: Made) -> bool:
    """Whether two attempts at one payload of one job id are at the same job: each would serve the other.

    A job that is pinned to another model is another job.
    """
    return one.model == other.model or (same_model(one.pin, other.model) and same_model(other.pin, one.model))


def paid_again_line(changed: Mapping[str, int]) -> str:
    """The sentence about answered jobs that are to be paid for again: how many, by what changed."""
    parts = ", ".join(f"{number:,} {what}" for what, number in changed.items())
    total = sum(changed.values())
    return f"{total:,} jobs were answered before and are weighed and paid for again: {parts}."


def refused_fingerprint(why: str, content: str) -> str:
    """SHA-256 of what was refused, such that it is the one of no request.

    Args:
        why: what kind of refusal it is.
        content: all that was read.
    """
    return sha256(f"refused, {why}: {content}".encode("utf-8", "backslashreplace")).hexdigest()


def same_id_line(files: RowFiles | None, earlier: int, this: int) -> str:
    """Why a row is refused whose id an earlier row of the run has, with the files where they are two."""
    first, second = (files.of_row(row) if files else "" for row in (earlier, this))
    if first != second:
        return f"the same id stands in {first} too, and this row is of {second}; ids must be unique over all files of a run"
    return "the same id stands in an earlier row; ids must be unique"
