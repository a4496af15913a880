"""A review: who may do what to it, what is asked of the table of waiting jobs, and what became of a decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from schemas.money import NanoUsd
from schemas.outcome import Method, ReviewStatus

if TYPE_CHECKING:  # a list of reviews does without payloads, and without the time they take to import
    from schemas.job import AttemptId, QueuedJob

#: how long an approval holds when nobody says otherwise
APPROVAL_HOLDS = timedelta(days=14)
#: the longest that anybody may say
MAX_APPROVAL_HOLDS = timedelta(days=3_650)
MAX_NAME_CHARACTERS = 100
#: no request costs or weighs as much; a ceiling above is a slip of the hand, and may not fit into the ledger
MAX_CEILING_USD = Decimal(1_000_000)
MAX_CEILING_TOKENS = 1_000_000_000
#: what can be done about a job of unknown outcome
UNKNOWN_ADVICE = (
    "approve it: it is sent again, although it may have been billed\n"
    "reject it: it is not sent again\n"
    "either way its hold stays until `weighbridge review book` books what was billed"
)
#: and where something came for it that could not be read
ACCEPT_ADVICE = (
    "or accept what came with `weighbridge review accept`: it is the answer of the job then, what was billed is booked, "
    "and its hold ends"
)
#: what can be done about a job whose answer was cut off at its max_tokens
CUT_OFF_ADVICE = (
    "approve it, as it is or edited: it is sent and paid for again\n"
    "reject it: it is not sent again\n"
    "either way what was billed stays booked, and what came is kept"
)


@dataclass(frozen=True, slots=True)
class Review:
    """One row of the review table, as `schemas.review_tables.ReviewRow` describes it. Tokens, nano-USD and moments in UTC."""

    id: int
    job_id: str
    run_id: str
    reason: str
    detail: str
    would_pass: str | None
    status: ReviewStatus
    model: str | None
    payload_class: str | None
    method: str | None
    input_tokens: int | None
    limit_tokens: int | None
    max_tokens: int | None
    worst_case_usd: Decimal | None
    limit_usd: Decimal | None
    group_name: str | None
    created_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    note: str | None
    ceiling_tokens: int | None
    ceiling_usd: Decimal | None
    expires_at: datetime | None
    sent_run_id: str | None
    sent_attempt_id: str | None
    version: int
    worst_case_nano_usd: int | None
    limit_nano_usd: int | None
    ceiling_nano_usd: int | None
    pinned_model: str | None
    priority: int
    row_number: int
    fingerprint: str
    edited_fingerprint: str | None


@dataclass(frozen=True, slots=True)
class ReviewDetail(Review):
    """A review with what it is about.

    Attributes:
        payload: the job's own, as JSON; None: pruned, or not asked for.
        edited_payload: what a person made of it, to be sent in its place.
    """

    payload: str | None
    edited_payload: str | None

    @property
    def standing(self) -> str | None:
        """What would be sent as it stands: what somebody made of it, or the job's own payload."""
        return self.edited_payload or self.payload


@dataclass(frozen=True, slots=True)
class ReviewEvent:
    """One change of a review.

    Attributes:
        by: the person's name, or the run's id.
    """

    id: int
    review_id: int
    at: datetime
    by: str | None
    from_status: str | None
    to_status: str
    note: str | None
    ceiling_tokens: int | None
    ceiling_nano_usd: int | None


@dataclass(frozen=True, slots=True)
class UnknownHold:
    """Money that is held for an attempt of unknown outcome, until a person books what it cost.

    Attributes:
        held: nano-USD.
        since: when the attempt ended without an answer.
        review_id: the review of its job, or None when there is none.
        has_raw: something came for it that could not be read, and is kept.
    """

    attempt_id: "AttemptId"
    job_id: str
    run_id: str
    model: str
    held: NanoUsd
    since: datetime | None
    review_id: int | None
    has_raw: bool = False


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came for an attempt of unknown outcome and could not be read, as it is kept.

    Attributes:
        run_id: the attempt's run.
        since: when the attempt ended without a readable answer.
        held_nano_usd: what is held for it.
        worst_case_nano_usd: the most that it can have cost.
        body: as it came; bytes that are no text stand in it as escapes.
    """

    attempt_id: str
    run_id: str
    since: datetime | None
    held_nano_usd: int
    worst_case_nano_usd: int
    body: str


class AcceptedAnswer(NamedTuple):
    """The attempt whose raw answer was accepted, and what was held for it, in nano-USD."""

    attempt_id: str
    held: NanoUsd


class ApprovalTerms(TypedDict, total=False):
    """How far an approval reaches; what is left out or None is as the review stands.

    Attributes:
        ceiling_usd: the most that the worst case may be when it is sent, up to MAX_CEILING_USD. A review that is
            dearer now is refused.
        ceiling_tokens: the most input tokens it may weigh when it is sent, up to MAX_CEILING_TOKENS.
        expires_in: how long the approval holds, up to MAX_APPROVAL_HOLDS; left out: APPROVAL_HOLDS.
        note: what the person says about it.
    """

    ceiling_usd: Decimal | None
    ceiling_tokens: int | None
    expires_in: timedelta
    note: str | None


class EditTerms(TypedDict, total=False):
    """What goes with the decision to send an edit.

    Attributes:
        note: what the person says about it.
        version: what they read; a review that was changed since is refused. None or left out: whatever stands there.
    """

    note: str | None
    version: int | None


class Order(StrEnum):
    """The order of a list of reviews."""

    LATEST = "latest"
    OLDEST = "oldest"
    DEAREST = "dearest"
    HEAVIEST = "heaviest"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which reviews are meant; a field that is None asks nothing.

    Attributes:
        status: of this status.
        reason: parked for this reason.
        group: of this group of jobs.
        model: routed to this model.
        over_usd: whose worst case is more than this many USD.
        search: with this text in their job id, detail or note, whatever the case.
        run_id: last parked by this run.
    """

    status: str | None = None
    reason: str | None = None
    group: str | None = None
    model: str | None = None
    over_usd: Decimal | None = None
    search: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a filter comes to, so that a person confirms figures and not a form.

    Attributes:
        count: reviews.
        worst_case: nano-USD, the sum of those that have a worst case.
        input_tokens: the sum of those that have a weight.
        unpriced: how many have no worst case and so cannot be approved.
        changes: the sum of their versions: it differs when any of them was changed.
    """

    count: int
    worst_case: NanoUsd
    input_tokens: int
    unpriced: int
    changes: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The pending reviews around one, the dearest first, by id; None where there is none.

    Attributes:
        previous: the one before it.
        next: the one after it.
        first: the first of all but itself.
    """

    previous: int | None
    next: int | None
    first: int | None

    @property
    def to_decide(self) -> int | None:
        """What to decide about after it: the next one, and at the end those that were skipped."""
        return self.first if self.next is None else self.next


class RefusedDecision(NamedTuple):
    """Why a review was left as it was; no id: the whole selection was."""

    review_id: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a decision about some reviews: how many it changed, and which it was refused for."""

    changed: int
    refused: tuple[RefusedDecision, ...] = ()


@dataclass(frozen=True, slots=True)
class EditEstimate:
    """Weight and price of an edited payload, freshly counted.

    Attributes:
        model: the model that its weight routes it to.
        input_tokens: what was counted, or the bound, as `method` says.
        method: how it was got.
        worst_case: nano-USD.
        limit_tokens: the limit in force, in tokens, or None.
        limit: the limit in force, in nano-USD, or None.
        would_pass: what would bring it within its limits, one sentence a line; None: it is.
    """

    model: str
    input_tokens: int
    method: Method
    worst_case: NanoUsd
    limit_tokens: int | None = None
    limit: NanoUsd | None = None
    would_pass: str | None = None

    @property
    def fits(self) -> bool:
        """Whether it is within its limits as it is."""
        return (self.limit_tokens is None or self.input_tokens <= self.limit_tokens) and (
            self.limit is None or self.worst_case <= self.limit
        )


@dataclass(frozen=True, slots=True)
class JobLimits:
    """The limits in force for one job, which the review shows next to its weight and price."""

    tokens: int | None
    cost: NanoUsd | None


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """One job that is put into the review table: what advice about it is made of.

    Attributes:
        job: the job, with the model and the weight that it was parked with.
        reason: why it was parked.
        worst_case: nano-USD, if it was priced.
        payload: its JSON.
        counted: input tokens by model, as far as they are on record.
        has_raw: something came for an attempt of unknown outcome at it, and could not be read.
    """

    job: "QueuedJob"
    reason: str
    worst_case: NanoUsd | None
    payload: str
    counted: Mapping[str, int]
    has_raw: bool = False
