"""A job: one row of the input, and what may become of a row that is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NewType

from schemas.money import NanoUsd
from schemas.outcome import Ending, Method
from schemas.payload.payload import CacheTtl, Fingerprint, Payload
from schemas.payload.traits import PLAIN, Traits
from schemas.row import RowFiles
from schemas.shared_prefix import CacheMark

RunId = NewType("RunId", str)
AttemptId = NewType("AttemptId", str)

#: ids are ours only; the provider sees the attempt's
MAX_JOB_ID_CHARACTERS = 200
MAX_GROUP_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person allowed of a job: it is sent only while its fresh figures are within.

    Attributes:
        review_id: the review that says so.
        input_tokens: the most it may weigh, in tokens; None: whatever it weighs.
        cost: the most its worst case may be, in nano-USD.
    """

    review_id: int
    input_tokens: int | None
    cost: NanoUsd


@dataclass(frozen=True, slots=True)
class KeptAnswers:
    """Which answers on record serve a job that is read.

    Attributes:
        whole: only those that were not cut off at their max_tokens.
        of_others: also those to the same payload under another job id.
        same_group: of those of others, only the ones that the job's own group paid for.
    """

    whole: bool = False
    of_others: bool = False
    same_group: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One valid row of the input.

    Attributes:
        row_number: its place in the input, from 0.
        job_id: the caller's id, unique in the input.
        payload: the Messages request, without a model.
        model: the model it is pinned to, or None to be routed by weight.
        max_input_tokens: its own limit in tokens, which can only tighten the policy's.
        max_cost: its own limit in nano-USD, which can only tighten the policy's.
        group: the team it is counted under.
        priority: higher is admitted first.
        approval: what a person allowed of it, in place of the limits of the policy and its own.
        kept: texts of its input row that go into the results, by column; None: none are kept.
        files: where the rows of its run stand, when they are of several files.
    """

    row_number: int
    job_id: str
    payload: Payload
    model: str | None = None
    max_input_tokens: int | None = None
    max_cost: NanoUsd | None = None
    group: str | None = None
    priority: int = 0
    approval: Approval | None = None
    kept: Mapping[str, str | None] | None = None
    files: RowFiles | None = field(default=None, repr=False, compare=False)

    def queued(self) -> "QueuedJob":
        """The job as a run has it in its queue, before it is weighed."""
        approval = self.approval
        return QueuedJob(
            row_number=self.row_number,
            job_id=self.job_id,
            fingerprint=self.payload.fingerprint,
            group=self.group,
            pinned_model=self.model,
            max_tokens=self.payload.max_tokens,
            own_max_input_tokens=self.max_input_tokens,
            own_max_cost=self.max_cost,
            cache_ttl=self.payload.cache_ttl,
            model=None,
            input_tokens=None,
            method=None,
            payload_bytes=len(self.payload.text),
            traits=self.payload.traits,
            review_id=approval.review_id if approval else None,
            ceiling_tokens=approval.input_tokens if approval else None,
            ceiling=approval.cost if approval else None,
        )


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A valid job whose outcome is known before it is weighed, because a person decided about it.

    Attributes:
        attempt_id: the attempt that answered it, if one did.
    """

    job: Job
    ending: Ending
    attempt_id: str | None = None


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that is not a valid job.

    Attributes:
        column: to be corrected.
        kept: texts of the row that go into the results, by column; None: none are kept.
        fingerprint: SHA-256 of the row as it was read, which no request has; None: it is not known.
    """

    row_number: int
    job_id: str | None
    column: str
    reason: str
    kept: Mapping[str, str | None] | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of rows worked on together: from `first` to `last`, both included."""

    first: int
    last: int

    def parts(self, size: int) -> "Iterator[Shard]":
        """The same rows, at most this many of them at a time."""
        for first in range(self.first, self.last + 1, size):
            yield Shard(first, min(first + size - 1, self.last))

    def __str__(self) -> str:
        return f"row {self.first}" if self.first == self.last else f"rows {self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """A job on record that has no outcome yet: what deciding about it needs, without its payload."""

    row_number: int
    job_id: str
    fingerprint: Fingerprint
    group: str | None
    pinned_model: str | None
    max_tokens: int
    own_max_input_tokens: int | None
    own_max_cost: NanoUsd | None
    cache_ttl: CacheTtl | None
    model: str | None
    input_tokens: int | None
    method: str | None
    payload_bytes: int
    traits: Traits = PLAIN
    review_id: int | None = None
    ceiling_tokens: int | None = None
    ceiling: NanoUsd | None = None
    prefix_key: str | None = None
    #: with which it is sent now; `cache_ttl` is that of the mark then
    mark: CacheMark | None = None


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """What is to be written of a job: its route, its ending, or both. A field that is None keeps what is on record.

    Attributes:
        input_tokens: its weight under the model.
        expected, worst_case: nano-USD.
    """

    row_number: int
    model: str | None = None
    input_tokens: int | None = None
    method: Method | None = None
    ending: Ending | None = None
    expected: NanoUsd | None = None
    worst_case: NanoUsd | None = None
