"""A review: what is asked of the table of waiting jobs, and what became of a decision."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import Method

#: how long an approval holds when nobody says otherwise
APPROVAL_HOLDS = timedelta(days=14)
MAX_NAME_CHARACTERS = 100
#: what lets a job of unknown outcome pass
UNKNOWN_ADVICE = (
    "approve it: it is sent again, although it may have been billed\n"
    "reject it: it is not sent again\n"
    "either way its hold stays until `weighbridge review book` books what was billed"
)


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
        over_usd: whose worst case is more than so many USD.
        over_tokens: whose input is more than so many tokens.
        search: with this text in their job id, detail or note, whatever the case.
        run_id: last parked by this run.
    """

    status: str | None = None
    reason: str | None = None
    group: str | None = None
    model: str | None = None
    over_usd: Decimal | None = None
    over_tokens: int | None = None
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
    """Weight and price of an edited payload, counted anew.

    Attributes:
        model: the model that its weight routes it to.
        input_tokens: what was counted, or the bound, as `method` says.
        method: how it was got.
        worst_case: nano-USD.
        limit_tokens: the limit in force, in tokens, or None.
        limit: the limit in force, in nano-USD, or None.
        would_pass: what would let it pass, one sentence a line; None: it is within its limits.
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
    """The limits in force for one job, which the review shows beside its weight and price."""

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
    """

    job: QueuedJob
    reason: str
    worst_case: NanoUsd | None
    payload: str
    counted: Mapping[str, int]
