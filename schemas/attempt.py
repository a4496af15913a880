"""An attempt: what holding the money for it needs, what sending it needs, and how it ended."""

from dataclasses import dataclass
from typing import Any

from schemas.estimate import Estimate
from schemas.job import AttemptId, QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import AttemptState, Billing, Outcome, Reason


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one attempt ended, and what the provider's usage comes to.

    Attributes:
        state: succeeded, failed (surely not billed) or unknown (may be billed: the hold stays).
        outcome: what its job ends as; None puts the job back into the queue.
        tries: HTTP tries made.
        cost: nano-USD, for a succeeded attempt.
        billing: whether the usage says all that was billed. An unknown outcome is billed in part: no usage says how far.
        response: the answer's JSON, for a succeeded attempt.
    """

    attempt_id: AttemptId
    state: AttemptState
    outcome: Outcome | None
    tries: int = 1
    reason: Reason | None = None
    detail: str | None = None
    cost: NanoUsd | None = None
    input_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_read_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    web_searches: int | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    billing: Billing | None = None
    usage: dict[str, Any] | None = None
    stop_reason: str | None = None
    request_id: str | None = None
    response: str | None = None


@dataclass(frozen=True, slots=True)
class WeighedJob:
    """A job within its own limits, with the estimate its hold is made of."""

    job: QueuedJob
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt whose money is held: what sending it needs."""

    attempt_id: AttemptId
    row_number: int
    job_id: str
    model: str
    payload: str


class Admission:
    """What became of the jobs that asked for money.

    Attributes:
        held: may be sent.
        deferred: found no money, or are in flight elsewhere, and wait for the next run.
        joined: are in a provider batch already, of this run or another, and wait for it.
        short: the queue stopped at a job that found no money now, while money is still in flight.
        short_groups: groups whose own money did not suffice now; their jobs were passed over and stay queued.
    """

    def __init__(self) -> None:
        self.held: list[HeldAttempt] = []
        self.deferred = 0
        self.joined = 0
        self.short = False
        self.short_groups: set[str] = set()
