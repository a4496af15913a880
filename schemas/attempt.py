"""An attempt: what holding the money for it needs, what sending it needs, and how it ended."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from schemas.budget import Payers
from schemas.estimate import Estimate
from schemas.job import AttemptId, QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import AttemptState, Billing, Ending
from schemas.payload.payload import CacheTtl
from schemas.payload.traits import Traits
from schemas.shared_prefix import CacheMark


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What an answer's usage comes to, or what a person booked.

    Attributes:
        cost: nano-USD.
        billing: whether the usage says all that was billed.
        input_tokens: all of them, cached ones included.
        thinking_tokens: the part of the output that was thinking, if the usage says so.
        usage: as it came.
        lacks_output: the answer says something, and its usage has no output at all.
    """

    cost: NanoUsd
    billing: Billing | None
    input_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    cache_read_tokens: int | None = None
    output_tokens: int | None = None
    thinking_tokens: int | None = None
    web_searches: int | None = None
    service_tier: str | None = None
    inference_geo: str | None = None
    usage: dict[str, Any] | None = None
    lacks_output: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How one attempt ended, and what becomes of the jobs that wait for it.

    Attributes:
        state: succeeded, failed (surely not billed, or booked) or unknown (may be billed: the hold stays).
        ending: what its jobs end as; None puts them back into the queue.
        error: why it brought no answer, without payload text.
        charge: what it came to; None: nothing, or nothing that is known.
        tries: HTTP tries made.
        response: the answer's JSON.
    """

    attempt_id: AttemptId
    state: AttemptState
    ending: Ending | None
    error: str | None = None
    charge: Charge | None = None
    tries: int = 1
    stop_reason: str | None = None
    request_id: str | None = None
    response: str | None = None


@dataclass(frozen=True, slots=True)
class SentTry:
    """An attempt that was sent: what of it stays on record when it is settled again.

    Attributes:
        tries: HTTP tries made.
        request_id: of the provider, if it is known.
    """

    attempt_id: AttemptId
    tries: int
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the bill of an attempt is compared with as its answer comes.

    Attributes:
        counted: its input tokens by the estimate.
        is_counted: the provider counted all of them, so that it is sampled once.
        max_tokens: the most output of one sampling.
        worst_case: nano-USD.
    """

    counted: int
    is_counted: bool
    max_tokens: int
    worst_case: NanoUsd


@dataclass(frozen=True, slots=True)
class UnsettledAttempt:
    """An attempt of a batch that is not settled: what settling it needs.

    Attributes:
        left_at: when its batch was put on record, as about to leave.
        tried: how often its job was tried in the run, this attempt included.
        expects: what its bill is compared with; None: with nothing.
        state: open or unknown; or another, when it was closed without usage.
        prefix_key: the shared prefix that it was marked for.
        is_prime: others wait for it.
    """

    attempt_id: AttemptId
    model: str
    left_at: datetime
    cache_ttl: CacheTtl | None
    traits: Traits
    tried: int
    expects: Expectation | None = None
    state: AttemptState = AttemptState.OPEN
    prefix_key: str | None = None
    is_prime: bool = False


@dataclass(frozen=True, slots=True)
class WeighedJob:
    """A job within its own limits, with the estimate its hold is made of.

    Attributes:
        split: whose groups pay for it; None: its own.
        unmarked: the same without its cache marker, where a marker must not be why it finds no money; None: it has none.
    """

    job: QueuedJob
    estimate: Estimate
    split: Payers | None = None
    unmarked: "WeighedJob | None" = None

    @property
    def payers(self) -> Payers:
        """Whose groups pay for it."""
        return self.split or Payers.alone(self.job.group)

    @property
    def hold(self) -> NanoUsd:
        """What is held for it, in nano-USD."""
        return self.payers.whole(self.estimate.hold)


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An attempt whose money is held: what sending it needs.

    Attributes:
        payload: as JSON; None: it is read when it is needed, for what is in a batch is not to be in memory.
        group: whose windows it is held in besides those of all jobs.
        expects: what its bill is compared with; None: with nothing.
        mark: the cache marker that it is sent with.
        payload_bytes: of its payload as it was read from the job file; what is sent may be pruned.
    """

    attempt_id: AttemptId
    row_number: int
    job_id: str
    model: str
    payload: str | None
    traits: Traits
    cache_ttl: CacheTtl | None
    group: str | None = None
    expects: Expectation | None = None
    mark: CacheMark | None = None
    payload_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NothingSum:
    """Jobs of one kind of a run whose money bought no whole answer: how many, and nano-USD.

    Attributes:
        kind: as `schemas.report.NothingBought` names it.
        effort: `output_config.effort` of their payloads; None: they name none.
    """

    kind: str
    model: str
    payload_class: str
    jobs: int
    cost: int
    effort: str | None = None


@dataclass(frozen=True, slots=True)
class MeasuredAnswer:
    """What one answer came to: output tokens, the part of them that was thinking, if known, and nano-USD."""

    output_tokens: int
    thinking_tokens: int | None
    cost: int


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

    def __str__(self) -> str:
        rows = sorted(one.row_number for one in self.held)
        if not rows:
            return "no row"
        if len(rows) == 1:
            return f"row {rows[0]}"
        span = f"rows {rows[0]}-{rows[-1]}"
        if rows[-1] - rows[0] < len(rows):
            return span
        return f"{len(rows)} of {span}"

    def add(self, more: "Admission") -> None:
        """Take another admission's results in; whether the queue stopped is as it left it."""
        self.held += more.held
        self.deferred += more.deferred
        self.joined += more.joined
        self.short = more.short
        self.short_groups |= more.short_groups


@dataclass(frozen=True, slots=True)
class PaidAttempt:
    """One attempt that a run paid for: what was estimated, and what was billed. Tokens, and nano-USD.

    The tokens of an answer that a person accepted unread are None.
    """

    attempt_id: str
    job_id: str
    model: str
    group_name: str | None
    payload_class: str
    method: str
    billing: str
    service_tier: str | None
    input_tokens: int
    actual_input_tokens: int | None
    cache_write_tokens: int | None
    cache_write_1h_tokens: int | None
    cache_read_tokens: int | None
    actual_output_tokens: int | None
    web_searches: int | None
    inference_geo: str | None
    batch_id: str | None
    usage: dict[str, Any] | None
    thinking_tokens: int | None
    expected: int
    expected_low: int | None
    expected_high: int | None
    worst_case: int
    actual: int
