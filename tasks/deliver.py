"""Deliver: what a worker process does for a run. It opens its own services once for each run, and keeps them.

Which process that is, and how the work gets there, is the business of who hands it out: see `tasks.hand_out`.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from rules.worker_limits import limits_of_worker
from schemas.delivery import Assignment, Delivered, Work
from schemas.errors import RunFailed, WeighbridgeError
from schemas.job import AttemptId, Shard
from schemas.outcome import Reason
from schemas.report import CallFigures
from schemas.run import RunKey
from services.gateway import open_gateway
from services.ledger import deliveries, open_ledger
from services.ledger.store import NotOwner
from services.worker_loop import on_kept_loop
from tasks.check_models import checked_models
from tasks.count_tokens import count_tokens
from tasks.run import Run
from tasks.send import send_here

log = logging.getLogger("weighbridge")

#: how often a worker looks whether its run goes on, seconds
LOOK_SECONDS = 1.0
#: how long calls in flight may take to end when nobody hands out work any more, seconds
_GRACE_SECONDS = 20


def deliver(work: Work, assignment: Assignment, what: Shard | Sequence[AttemptId]) -> Delivered:
    """Do a part of a run's work in this process; what came of it. Raises nothing.

    Args:
        work: what is to be done.
        assignment: the run.
        what: the shard that is counted, or the attempts that are sent.
    """
    return on_kept_loop(_delivered(work, assignment, what))


async def _delivered(work: Work, assignment: Assignment, what: Any) -> Delivered:
    try:
        desk = await _desk_of(assignment)
    except WeighbridgeError as error:
        return Delivered(error=str(error))
    except Exception as error:  # noqa: BLE001 - its text may quote anything
        return Delivered(error=_unexpected(error))
    return await desk.do(work, what)


def _unexpected(error: Exception) -> str:
    return (
        f"A worker could not go on ({type(error).__name__}). What it sent and settled is in the ledger, and the next run "
        "over the same input goes on from there."
    )


class Desk:
    """A run in this worker process.

    Attributes:
        busy: deliveries that are under way.
    """

    def __init__(self, run: Run, services: AsyncExitStack) -> None:
        self.run = run
        self.busy = 0
        self._services = services

    async def do(self, work: Work, what: Any) -> Delivered:
        """Do a part of the run's work."""
        self.busy += 1
        done, error = 0, None
        try:
            done = await self._done(work, what)
        except NotOwner:
            self.run.halt.stop(Reason.TAKEN_OVER)
        except WeighbridgeError as failure:
            error = str(failure)
        except Exception as failure:  # noqa: BLE001 - its text may quote a payload
            error = _unexpected(failure)
        finally:
            self.busy -= 1
        return Delivered(done, self._calls(), self.run.halt.reason, error)

    async def _done(self, work: Work, what: Any) -> int:
        if work is Work.COUNT:
            return await count_tokens.plain(self.run, what)
        attempts = await self.run.ledger.off_loop(deliveries.unsent, self.run.reference.key, what)
        return await send_here(self.run, attempts)

    def _calls(self) -> CallFigures:
        """The calls since this was asked last."""
        tally = self.run.tally
        made = tally.model_copy()
        for name in CallFigures.model_fields:
            setattr(tally, name, 0)
        return made

    async def watch(self) -> None:
        """Stop sending when the run is halted or over; returns once it is over and nothing is under way."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                why = await self.run.ledger.off_loop(deliveries.why_halted, self.run.reference.key)
            except RunFailed:
                continue  # while the ledger is away, nothing leaves
            self.run.halt.stop(why)
            if why is Reason.TAKEN_OVER and not self.busy:
                return

    async def close(self) -> None:
        """Close its services."""
        await self._services.aclose()


#: the desks of this process, by run; all on its one loop
_desks: "dict[RunKey, asyncio.Future[Desk]]" = {}
_watches: set[asyncio.Task[None]] = set()


async def _desk_of(assignment: Assignment) -> Desk:
    """The desk of a run, opened when it is first asked for; what could not be opened is tried again."""
    key = assignment.reference.key
    if key not in _desks:
        _desks[key] = asyncio.ensure_future(_opened(assignment))
    try:
        return await asyncio.shield(_desks[key])
    except Exception:
        _desks.pop(key, None)
        raise


async def _opened(assignment: Assignment) -> Desk:
    reference = assignment.reference
    async with AsyncExitStack() as services:
        ledger = await asyncio.to_thread(open_ledger, reference.ledger_url)
        services.callback(ledger.close)
        if await ledger.off_loop(deliveries.why_halted, reference.key) is Reason.TAKEN_OVER:
            raise RunFailed(
                f"A worker finds no run {reference.run_id} under way in its ledger. Give the run a ledger that its workers "
                "reach under the same URL; nothing was sent by this worker."
            )
        limits = limits_of_worker(reference.policy.limits, assignment.workers)
        gateway = await services.enter_async_context(open_gateway(limits, reference.base_url, ledger))
        models = await checked_models(gateway, reference.policy)
        if (gateway.endpoint, gateway.simulated) != (assignment.endpoint, assignment.simulated):
            raise RunFailed(
                f"A worker would call {gateway.endpoint}, and the run calls {assignment.endpoint}. Give the workers the same "
                "ANTHROPIC_BASE_URL, or name the address in the run; nothing was sent by this worker."
            )
        desk = Desk(Run.of(reference, ledger, gateway, models), services.pop_all())
    watch = asyncio.create_task(_watched(reference.key, desk))
    _watches.add(watch)
    watch.add_done_callback(_watches.discard)
    return desk


async def _watched(key: RunKey, desk: Desk) -> None:
    try:
        await desk.watch()
    finally:
        _desks.pop(key, None)
        await desk.close()


def stop_delivering() -> None:
    """Let nothing more leave in this process, and wait for the calls in flight: who handed the work out is gone."""
    on_kept_loop(_stopped())


async def _stopped() -> None:
    patience = time.monotonic() + _GRACE_SECONDS
    desks = [one.result() for one in _desks.values() if one.done() and not one.exception()]
    for desk in desks:
        desk.run.halt.stop(Reason.INTERRUPTED)
    while any(desk.busy for desk in desks) and time.monotonic() < patience:  # noqa: ASYNC110 - a last look round
        await asyncio.sleep(0.1)
