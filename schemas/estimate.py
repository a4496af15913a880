"""What is known of a job before it is sent."""

from dataclasses import dataclass

from schemas.money import NanoUsd
from schemas.outcome import Method


@dataclass(frozen=True, slots=True)
class Estimate:
    """Weight and price of one job under the model that would be called.

    Attributes:
        model: the model id.
        input_tokens: what the provider counted (or the bound, as `method` says).
        method: how the figure was got.
        input_bound: `input_tokens` with the policy's margin: the most the bill may show.
        expected: nano-USD at the counted input and the policy's expected share of `max_tokens`.
        worst_case: nano-USD at `input_bound`, the dearest input rate that could apply, and all of `max_tokens`.
    """

    model: str
    input_tokens: int
    method: Method
    input_bound: int
    expected: NanoUsd
    worst_case: NanoUsd
