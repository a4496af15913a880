"""The queue of a run: admit and send, in order of priority, until it is empty and everything sent is settled."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from schemas.attempt import Admission
from schemas.batch import OpenBatch
from schemas.errors import RunFailed
from schemas.outcome import Mode, Reason
from services.ledger import batches
from services.ledger.store import NotOwner
from tasks.admit import admit
from tasks.run import Run
from tasks.send import send
from tasks.send_batch import send_batch
from tasks.shards import LANES
from tasks.step import Step
from tasks.watch_batch import watch_batch

log = logging.getLogger("weighbridge")

#: how long calls in flight may take to end after an interruption, seconds
GRACE_SECONDS = 20


class SendQueue:
    """What of a run is to be sent, is in flight, or waits for money.

    What a settled shard or batch leaves of its hold is there for the next: so a job is deferred for want of money only
    once nothing of this run is in flight.

    Args:
        run: the run, whose jobs are weighed.
        size: how many jobs are admitted at once, at most; a batch is filled whatever it is.
    """

    def __init__(self, run: Run, size: int) -> None:
        self._run = run
        self._size = size
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._short_groups: set[str] = set()
        self._watched: set[str] = set()
        self._task_runs: Counter[str] = Counter()

    async def drain(self) -> None:
        """Send what fits; returns when nothing is queued that may be sent and nothing is in flight.

        There are three reasons to wait for something in flight before more is admitted: the queue is empty but for
        groups that wait for their own money; the next job found no money now; or enough is in flight.
        """
        try:
            while (admission := await self._admitted()) is not None or self._in_flight:
                if admission is not None:
                    await self._start(admission)
                if self._in_flight and (admission is None or admission.short or self._is_full()):
                    await self._something_ended()
        except asyncio.CancelledError:
            self._run.halt.stop(Reason.INTERRUPTED)
            await self._grace()
            raise
        except NotOwner:
            self._run.halt.stop(Reason.TAKEN_OVER)
        finally:
            for task in self._in_flight:
                task.cancel()
        if self._run.halt.reason is Reason.TAKEN_OVER:
            raise RunFailed(
                f"Another process took {self._run.run_id} over while this one could not be heard of. This one sends no "
                "more; what it sent before is in the ledger, and the other one finishes the run."
            )

    async def _grace(self) -> None:
        """Let what is in flight end, for a while: its answers are paid for. What waits for its turn is not sent."""
        if self._in_flight and self._run.policy.mode is Mode.MESSAGES:
            log.warning(
                "Interrupted: nothing more is sent, and the calls in flight have %s seconds to end.",
                GRACE_SECONDS,
            )
            await asyncio.wait(self._in_flight, timeout=GRACE_SECONDS)

    async def _admitted(self) -> Admission | None:
        alone = not self._in_flight
        if alone:
            self._short_groups.clear()
        admission: Admission | None = await self._shown(admit)(
            self._run, self._size, may_defer=alone, without=tuple(self._short_groups)
        )
        if admission is not None:
            self._short_groups |= admission.short_groups
        return admission

    async def _start(self, admission: Admission) -> None:
        if admission.held:
            sending = send_batch if self._run.policy.mode is Mode.BATCHES else send
            self._launch(self._shown(sending)(self._run, admission))
        if admission.joined:
            for batch in await self._newly_joined():
                self._launch(self._shown(watch_batch)(self._run, batch))

    def _launch(self, work: Awaitable[Any]) -> None:
        self._in_flight.add(asyncio.ensure_future(work))

    async def _something_ended(self) -> None:
        """Wait until a shard or a batch has ended, or jobs that waited for the first of their prefix may go."""
        may_go = asyncio.ensure_future(self._run.caching.changed.wait())
        try:
            done, _ = await asyncio.wait([*self._in_flight, may_go], return_when=asyncio.FIRST_COMPLETED)
        finally:
            may_go.cancel()
        self._run.caching.changed.clear()
        done.discard(may_go)
        self._in_flight -= done
        # what ended may have left money for the groups that were short of it
        self._short_groups.clear()
        for task in done:
            task.result()

    def _is_full(self) -> bool:
        """Whether enough is in flight: this many shards, or this many requests with the provider."""
        if self._run.policy.mode is Mode.BATCHES:
            limits = self._run.policy.batch
            return (len(self._in_flight) + 1) * limits.max_requests > limits.max_queued_requests
        return len(self._in_flight) >= LANES

    async def _newly_joined(self) -> list[OpenBatch]:
        """The batches of earlier runs that rows of this one wait for, and nobody here watches yet."""
        found = await self._run.ledger.off_loop(batches.open_of_run, self._run.run_id)
        joined = [
            batch
            for batch in found
            if batch.run_id != self._run.run_id and batch.batch_id not in self._watched
        ]
        self._watched |= {batch.batch_id for batch in joined}
        return joined

    def _shown(self, step: Step[..., Any]) -> Callable[..., Awaitable[Any]]:
        """The step as a task run, while its stage may make more of them; beyond that without Prefect."""
        self._task_runs[step.__name__] += 1
        if self._task_runs[step.__name__] > self._run.policy.max_task_runs:
            return step.plain
        return step
