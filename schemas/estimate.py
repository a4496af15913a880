"""What is known of a job before it is sent."""

from dataclasses import dataclass

from schemas.money import NanoUsd
from schemas.outcome import Method
from schemas.payload.payload import Fingerprint


@dataclass(frozen=True, slots=True)
class Estimate:
    """Weight and price of one job under the model that would be called.

    Attributes:
        model: the model id.
        input_tokens: what the provider counted (or the bound, as `method` says).
        method: how the figure was got.
        input_bound: `input_tokens` with the policy's margin: the most the bill may show.
        expected: nano-USD at the counted input and the mean output observed of such jobs, or, while too little was,
            the policy's assumed share of `max_tokens`.
        worst_case: nano-USD at `input_bound`, the dearest input rate that could apply, and all of `max_tokens`.
        expected_low, expected_high: the same as `expected` at the 5th and the 95th percentile of the observed output
            (or at the mean, where that lies outside); None while `expected` assumes.
        likely: as `worst_case`, at the policy's percentile of the observed output; None when the worst case is held.
    """

    model: str
    input_tokens: int
    method: Method
    input_bound: int
    expected: NanoUsd
    worst_case: NanoUsd
    expected_low: NanoUsd | None = None
    expected_high: NanoUsd | None = None
    likely: NanoUsd | None = None

    @property
    def hold(self) -> NanoUsd:
        """What is held for it before a byte leaves, in nano-USD."""
        return self.worst_case if self.likely is None else self.likely


@dataclass(frozen=True, slots=True)
class TokenCount:
    """What one payload weighs under one model, in input tokens."""

    fingerprint: Fingerprint
    model: str
    input_tokens: int
    method: Method = Method.COUNTED
