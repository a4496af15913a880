"""The queue of a run: admit and send, in order of priority, until it is empty and everything sent is settled."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from rules.deadline import at_risk_line
from schemas.attempt import Admission
from schemas.batch import OpenBatch
from schemas.errors import RunFailed
from schemas.outcome import Mode, Reason
from services.ledger import batches, jobs
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
#: once answers are at risk, it is looked at least at this interval whether a batch has left something, seconds
_LOOK_SECONDS = 5.0


class SendQueue:
    """What of a run is to be sent, is in flight, or waits for money.

    What a settled shard or batch leaves of its hold is there for the next: so a job is deferred for want of money only
    once nothing of this run is in flight.

    When the run's answers are at risk to come too late, the queue turns to Messages mode for good: whoever watches a
    batch stops it, and what the batch leaves comes back into the queue.

    Args:
        run: the run, whose jobs are weighed.
        size: how many jobs are admitted at once, at most; a batch is filled whatever it is.
    """

    def __init__(self, run: Run, size: int) -> None:
        self._run = run
        self._size = size
        self._in_flight: set[asyncio.Task[Any]] = set()
        #: those of them that send messages, and not a batch
        self._calls: set[asyncio.Task[Any]] = set()
        self._short_groups: set[str] = set()
        self._watched: set[str] = set()
        self._next_look = 0.0
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
        if self._calls:
            if self._run.senders is not None:
                await self._run.senders.halt(self._run)
            log.warning(
                "Interrupted: nothing more is sent, and the calls in flight have %s seconds to end.",
                GRACE_SECONDS,
            )
            await asyncio.wait(self._calls, timeout=GRACE_SECONDS)

    async def _admitted(self) -> Admission | None:
        await self._room_to_make()
        alone = not self._in_flight
        self._turn_to_messages()
        await self._requeue_unanswered(at_once=alone)
        if alone:
            self._short_groups.clear()
        admission: Admission | None = await self._shown(admit)(
            self._run, self._size, may_defer=alone, without=tuple(self._short_groups)
        )
        if admission is not None:
            self._short_groups |= admission.short_groups
        return admission

    async def _room_to_make(self) -> None:
        """Wait while as many batches are made as may be at a time; not beyond the moment that answers are at risk."""
        if self._run.policy.mode is Mode.BATCHES:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience), self._run.making:
                    pass

    async def _start(self, admission: Admission) -> None:
        if admission.held:
            if self._run.policy.mode is Mode.BATCHES:
                self._launch(self._shown(send_batch)(self._run, admission))
            else:
                self._calls.add(self._launch(self._shown(send)(self._run, admission)))
        if admission.joined:
            for batch in await self._newly_joined():
                self._launch(self._shown(watch_batch)(self._run, batch))

    def _launch(self, work: Awaitable[Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._in_flight.add(task)
        return task

    async def _something_ended(self) -> None:
        """Wait until something in flight ends, or a shared prefix or the deadline gives the queue something to do."""
        done: set[asyncio.Task[Any]] = set()
        may_go = asyncio.ensure_future(self._run.caching.changed.wait())
        try:
            while not (
                done
                or self._turn_to_messages()
                or (self._run.due and await self._requeue_unanswered(at_once=False))
            ):
                done, _ = await asyncio.wait(
                    {*self._in_flight, may_go}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            may_go.cancel()
        if may_go in done:
            self._run.caching.changed.clear()
            done.discard(may_go)
        self._in_flight -= done
        self._calls &= self._in_flight
        # what ended may have left money for the groups that were short of it
        self._short_groups.clear()
        for task in done:
            task.result()

    @property
    def _patience(self) -> float | None:
        """How long to wait before the deadline is thought of again, in seconds; None: there is none."""
        left = self._run.seconds_until_risk
        if left is None:
            return None
        return self._look if self._run.due else min(left, float(self._run.policy.batch.poll_seconds))

    @property
    def _look(self) -> float:
        """How often it is looked, once answers are at risk, whether a batch has left something, in seconds."""
        return min(_LOOK_SECONDS, float(self._run.policy.batch.poll_seconds))

    def _turn_to_messages(self) -> bool:
        """Turn to Messages mode when the run's answers are at risk; whether it was now."""
        deadline = self._run.reference.deadline
        if deadline is None or self._run.due or not self._run.is_at_risk:
            return False
        self._run = self._run.for_its_deadline()
        log.warning("%s", at_risk_line(deadline, self._run.policy))
        return True

    async def _requeue_unanswered(self, *, at_once: bool) -> int:
        """Take in what batches left because answers were due; how many jobs.

        A large run has many rows to look through: so it is looked now and then, and at once where nothing is in flight.
        """
        now = time.monotonic()
        if self._run.reference.deadline is None or (now < self._next_look and not at_once):
            return 0
        self._next_look = now + self._look
        return await self._run.ledger.off_loop(
            jobs.requeue_unanswered, self._run.reference.key, expired=self._run.due is not None
        )

    def _is_full(self) -> bool:
        """Whether enough is in flight: this many shards, or this many requests with the provider."""
        if self._run.policy.mode is Mode.BATCHES:
            limits = self._run.policy.batch
            return (len(self._in_flight) + 1) * limits.max_requests > limits.max_queued_requests
        senders = self._run.senders
        most = LANES if senders is None else max(LANES, senders.admissions)
        return len(self._calls) >= most

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
