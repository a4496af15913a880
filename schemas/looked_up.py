"""What is looked up in the ledger: small typed rows. Moments are UTC, money is whole nano-USD, tokens are tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


class RunLine(NamedTuple):
    """A run in a list.

    Attributes:
        jobs: rows read; None: they were pruned.
        ended_at, outcome: None while it has not ended.
        spent_nano_usd, held_nano_usd: of its own window; None: it was pruned, or nothing was ever held.
        is_left: it has not ended, and nobody works on it.
        report: what it reported; None: it has no report.
    """

    run_id: str
    started_at: datetime
    ended_at: datetime | None
    jobs_path: str
    mode: str
    simulated: bool
    outcome: str | None
    jobs: int | None
    spent_nano_usd: int | None
    held_nano_usd: int | None
    is_left: bool
    report: dict[str, Any] | None


class ReportLine(NamedTuple):
    """What a run reported.

    Attributes:
        ended_at: None while it has not ended.
        report: None: it has none.
    """

    run_id: str
    ended_at: datetime | None
    report: dict[str, Any] | None


class JobLine(NamedTuple):
    """A job in one run: how it was weighed, what was decided, and what it ended as."""

    run_id: str
    started_at: datetime
    simulated: bool
    row_number: int
    group_name: str | None
    model: str | None
    input_tokens: int | None
    method: str | None
    expected_nano_usd: int | None
    worst_case_nano_usd: int | None
    decision: str | None
    outcome: str | None
    reason: str | None
    detail: str | None
    attempt_id: str | None


class AttemptLine(NamedTuple):
    """A paid try at a job.

    Attributes:
        actual_nano_usd: None: not billed, or not known.
        held_nano_usd: what it still holds.
    """

    attempt_id: str
    run_id: str
    state: str
    model: str
    opened_at: datetime
    sent_at: datetime | None
    ended_at: datetime | None
    batch_id: str | None
    actual_input_tokens: int | None
    actual_output_tokens: int | None
    actual_nano_usd: int | None
    held_nano_usd: int
    stop_reason: str | None
    error: str | None


class ReviewLine(NamedTuple):
    """What people decided about a job."""

    id: int
    status: str
    reason: str
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str | None


@dataclass(frozen=True, slots=True)
class JobHistory:
    """All that is on record of a job id, the newest first."""

    job_id: str
    runs: tuple[JobLine, ...]
    attempts: tuple[AttemptLine, ...]
    reviews: tuple[ReviewLine, ...]

    @property
    def spent_nano_usd(self) -> int:
        return sum(one.actual_nano_usd or 0 for one in self.attempts)

    @property
    def held_nano_usd(self) -> int:
        return sum(one.held_nano_usd for one in self.attempts)

    @property
    def answered_by(self) -> str | None:
        """The attempt that was answered last."""
        return next((one.attempt_id for one in self.attempts if one.state == "succeeded"), None)
