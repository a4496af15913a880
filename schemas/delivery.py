"""A delivery: a part of a run's work that a worker process does, and what came of it.

What crosses the border is small and picklable. The same work may be delivered twice, by whoever hands it out or by the
engine below: the ledger lets each attempt leave once, so that this costs nothing.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from schemas.errors import RunFailed
from schemas.outcome import Reason
from schemas.report import CallFigures
from schemas.run import RunReference


class Work(StrEnum):
    """What workers do."""

    #: count the jobs of a shard
    COUNT = "count"
    #: send the attempts that money is held for
    SEND = "send"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a worker must know of a run to work for it.

    Attributes:
        reference: what the run is.
        endpoint: the API's address as it may be shown: a worker that would talk to another one does nothing.
        simulated: whether the simulator answers there.
        workers: how many there are: each has its share of the calls in flight.
    """

    reference: RunReference
    endpoint: str
    simulated: bool
    workers: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of a delivery.

    Attributes:
        done: how many jobs were routed, or answered.
        calls: those that the worker has made for the run since it last said so.
        halt: why the run must send no more, if it must not.
        error: why the worker could not go on, as a sentence without payload text; None: it could.
    """

    done: int = 0
    calls: CallFigures = field(default_factory=CallFigures)
    halt: Reason | None = None
    error: str | None = None


class WorkerLost(Exception):  # noqa: N818 - reads as what it is where it is caught
    """A worker ended in mid-delivery, or nobody can say what became of it; what it did is in the ledger."""


class NoWorkers(RunFailed):
    """All workers are gone."""
