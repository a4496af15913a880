"""A job that was over a budget and was brought within it."""

from dataclasses import dataclass
from enum import StrEnum

from schemas.estimate import Estimate, TokenCount
from schemas.money import NanoUsd
from schemas.payload.payload import Payload


class Fitting(StrEnum):
    """How a job was brought within its budgets."""

    PRUNED = "pruned"
    DOWNGRADED = "downgraded"


@dataclass(frozen=True, slots=True)
class JobBefore:
    """A job as it was over a budget.

    Attributes:
        model: where it would have gone.
        input_tokens: its weight there.
        expected: nano-USD it was expected to cost there; None: nothing prices it.
    """

    model: str
    input_tokens: int
    expected: NanoUsd | None


@dataclass(frozen=True, slots=True)
class FittedJob:
    """A job within its budgets, and what was done for that.

    Attributes:
        payload: what is sent.
        estimate: its weight and price.
        turns_before, turns: of its conversation.
        counts: what was counted on the way, to be kept.
    """

    row_number: int
    how: Fitting
    before: JobBefore
    payload: Payload
    estimate: Estimate
    turns_before: int
    turns: int
    counts: tuple[TokenCount, ...] = ()
