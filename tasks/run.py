"""A run under way: what it is, which services its steps use, and what its jobs are weighed with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rules.models import Models
from rules.scale import Scale
from schemas.job import RunId
from schemas.outcome import Reason
from schemas.policy import Policy
from schemas.report import CallFigures
from schemas.run import RunReference
from services.gateway import Gateway, open_gateway
from services.ledger import Ledger, open_ledger
from services.ledger.journal import Journal
from services.ledger.lessons import Lessons


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


@dataclass(frozen=True, slots=True)
class Run:
    """A run and the services of this process that its steps use.

    Attributes:
        reference: what the run is; the only part that crosses a process border.
        gateway: counts its calls in the run's own tally.
        scale: its policy, its models and its lessons.
        halt: why no more may be sent, once that is so.
    """

    reference: RunReference
    ledger: Ledger
    gateway: Gateway
    journal: Journal
    scale: Scale
    halt: Halt = field(default_factory=Halt)

    @classmethod
    def of(cls, reference: RunReference, ledger: Ledger, gateway: Gateway, models: Models) -> "Run":
        """The run with this process's services."""
        lessons = Lessons(ledger, reference.started_at, reference.policy.margin)
        scale = Scale(reference.policy, models, lessons.of)
        return cls(reference, ledger, gateway.counting_in(CallFigures()), Journal(ledger), scale)

    @property
    def run_id(self) -> RunId:
        return self.reference.run_id

    @property
    def policy(self) -> Policy:
        return self.reference.policy

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


@asynccontextmanager
async def opened_run(reference: RunReference) -> AsyncIterator[Run]:
    """A run in a process of its own: services are opened from its reference, and closed at the end."""
    ledger = open_ledger(reference.ledger_url)
    try:
        async with open_gateway(reference.policy.limits, reference.base_url) as gateway:
            models = Models(reference.policy, reference.models)
            for facts in reference.models:
                models.why_not(facts.model, facts, datetime.now(UTC))
            yield Run.of(reference, ledger, gateway, models)
    finally:
        ledger.close()
