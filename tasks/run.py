"""A run under way: what it is, which services its steps use, and what its jobs are weighed with."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from rules.deadline import is_at_risk, seconds_until_risk
from rules.endings import cut_off_parked
from rules.models import Models
from rules.scale import Scale
from rules.usage_alarm import BillWatch, believed, out_of_line
from schemas.attempt import Admission, Expectation, Settlement
from schemas.failures import CallFailure, MayBeBilled, Refused, Transient
from schemas.job import RunId, Shard
from schemas.outcome import Mode, Reason
from schemas.policy import Policy
from schemas.report import CallFigures
from schemas.run import Deadline, RunReference
from services.gateway import Gateway
from services.ledger import Ledger
from services.ledger.journal import Journal
from services.ledger.lessons import Lessons
from tasks.caching import Caching

#: a healthy endpoint does not fail this many times in a row, each time after all tries
MOST_IN_A_ROW = 20
#: while one batch waits for the provider, another can be put together, or settled
_BATCHES_AT_ONCE = 2
log = logging.getLogger("weighbridge")


@dataclass(slots=True)
class Halt:
    """Whether a run must send no more, and why.

    Attributes:
        reason: None while it may go on.
    """

    reason: Reason | None = None

    def stop(self, reason: Reason | None) -> None:
        """Stop for this reason, unless there was one before; None stops nothing."""
        self.reason = self.reason or reason


@dataclass(slots=True)
class Brake:
    """Stops a run whose endpoint answers nothing: after this many calls in a row without one answer of the API.

    Attributes:
        in_a_row: calls that failed without the API's own word since the last that it answered.
    """

    in_a_row: int = 0

    def seen(self, failure: CallFailure | None, halt: Halt) -> None:
        """Take in how a call ended; None: it was answered."""
        if failure is None or isinstance(failure, Refused):
            self.in_a_row = 0
        elif isinstance(failure, MayBeBilled | Transient):
            self.in_a_row += 1
        if self.in_a_row >= MOST_IN_A_ROW:
            halt.stop(Reason.ENDPOINT_UNUSABLE)


@dataclass(slots=True)
class Bell:
    """Whether the answers of a run are at risk to come too late. It has rung for good, whatever clocks do afterwards."""

    deadline: Deadline | None = None
    has_rung: bool = False

    def rings(self, now: datetime) -> bool:
        """Whether it has rung, by this moment or before."""
        self.has_rung = self.has_rung or is_at_risk(self.deadline, now)
        return self.has_rung


class HandsOut(Protocol):
    """The workers of a run, as its steps see them."""

    @property
    def admissions(self) -> int:
        """How many admissions keep them busy."""
        ...

    async def count(self, run: "Run", shard: Shard) -> int:
        """Have the jobs of a shard counted; how many found a model."""
        ...

    async def send(self, run: "Run", admission: Admission) -> int:
        """Have the attempts of an admission sent; how many were answered."""
        ...

    async def halt(self, run: "Run") -> None:
        """Have nothing more sent."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """A run and the services of this process that its steps use.

    Attributes:
        reference: what the run is; the only part that crosses a process border.
        gateway: counts its calls in the run's own tally.
        scale: its policy, its models and its lessons.
        halt: why no more may be sent, once that is so.
        brake: stops it when its endpoint answers nothing to paid calls.
        count_brake: the same of its counts, for a gateway may answer the one and not the other.
        bills: those of its answers that were out of line.
        caching: the shared prefixes that its jobs are marked for.
        bell: rings when its answers are at risk to come too late.
        making: the batches that are put together or created at a time: each takes room on disk, and its attempts memory.
        reading: the batches whose results are read at a time.
        due: the period of the deadline that everything goes out for at full price; None: not yet, or never.
        workers: those that count and send for it; None: this process does.
    """

    reference: RunReference
    ledger: Ledger
    gateway: Gateway
    journal: Journal
    scale: Scale
    halt: Halt = field(default_factory=Halt)
    brake: Brake = field(default_factory=Brake)
    count_brake: Brake = field(default_factory=Brake)
    bills: BillWatch = field(default_factory=BillWatch)
    caching: Caching = field(default_factory=Caching)
    bell: Bell = field(default_factory=Bell)
    making: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_BATCHES_AT_ONCE))
    reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_BATCHES_AT_ONCE))
    due: str | None = None
    workers: HandsOut | None = None

    @classmethod
    def of(cls, reference: RunReference, ledger: Ledger, gateway: Gateway, models: Models) -> "Run":
        """The run with this process's services."""
        lessons = Lessons(ledger, reference.started_at, reference.policy.margin)
        scale = Scale(reference.policy, models, lessons.of)
        return cls(
            reference,
            ledger,
            gateway.counting_in(CallFigures()),
            Journal(ledger, reference.key, partial(scale.today, reference.run_id)),
            scale,
            bell=Bell(reference.deadline),
        )

    def for_its_deadline(self) -> "Run":
        """The same run once its answers are at risk: what it sends goes out in Messages mode, on the deadline's money."""
        deadline = self.reference.deadline
        if deadline is None:
            raise AssertionError("only a deadline can be at risk")
        return replace(self, scale=self.scale.at_full_price(), due=deadline.period)

    @property
    def senders(self) -> HandsOut | None:
        """The workers that send for it; None: this process does, as it does with batches and shared prefixes.

        Few calls make many batches, and who waits for the first job of a prefix must know when it was answered.
        """
        if self.reference.policy.mode is Mode.BATCHES or self.caching.has_plan:
            return None
        return self.workers

    @property
    def run_id(self) -> RunId:
        return self.reference.run_id

    @property
    def policy(self) -> Policy:
        """The policy in force: the mode that it names is the one that jobs go out in now."""
        return self.scale.policy

    @property
    def is_at_risk(self) -> bool:
        """Whether its answers may come too late if nothing is done."""
        return self.bell.rings(self.scale.clock())

    @property
    def is_overdue(self) -> bool:
        """Whether its answers should be there by now."""
        deadline = self.reference.deadline
        return deadline is not None and self.scale.clock() >= deadline.due

    @property
    def seconds_until_risk(self) -> float | None:
        """How long its answers may still be waited for, in seconds; None: for ever."""
        return seconds_until_risk(self.reference.deadline, self.scale.clock())

    @property
    def models(self) -> Models:
        return self.scale.models

    @property
    def results(self) -> Path:
        """The folder of its results."""
        return Path(self.reference.results)

    @property
    def tally(self) -> CallFigures:
        """The calls that were made for it."""
        return self.gateway.tally

    def judged(self, settlement: Settlement, expects: Expectation | None) -> Settlement:
        """An answer's settlement as far as its usage can be believed, and whether its job waits for a person.

        Bills out of line stop the run.
        """
        settlement = believed(settlement, expects)
        if why := out_of_line(settlement, expects):
            log.warning("Attempt %s was %s; its bill is booked.", settlement.attempt_id, why)
        self.halt.stop(self.bills.reason_to_stop(settlement, expects))
        return cut_off_parked(settlement) if self.policy.parks_cut_off else settlement
