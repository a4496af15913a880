"""Worker processes on this machine, each of which does several deliveries at once and can be lost by itself.

They are processes of `multiprocessing.managers`: each serves calls on a thread a caller, and one that is killed takes no
other along. In a process pool of `concurrent.futures`, which is also what Prefect's ProcessPoolTaskRunner is, one killed
process breaks the pool and ends all the others, each process does one delivery at a time, and Prefect adds some 125 ms
to each (tried with Prefect 3.8.8).
"""

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from typing import Any, ParamSpec, TypeVar

from schemas.delivery import NoWorkers, WorkerLost

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")
log = logging.getLogger("weighbridge")

#: deliveries that one process does at once: enough that the next one's jobs fill the gaps of the last one's stragglers
LANES_EACH = 8


class _Hands:
    """What a worker process is asked through."""

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """What a function returns in the worker process."""
        return function(*args)

    def pid(self) -> int:
        """The process's id."""
        return os.getpid()


class _Process(BaseManager):
    """A process that serves calls."""


_Process.register("hands", _Hands)


@dataclass(slots=True, eq=False)
class _Worker:
    process: _Process
    hands: Any
    pid: int
    busy: int = 0


class WorkerProcesses:
    """A number of worker processes.

    A process that is lost is not replaced: what killed it, such as too little memory, would kill the next one too.

    Args:
        count: how many.
        orphaned: called in a worker when the process that started it is gone; the worker ends when it returns.
    """

    #: a process that is lost is gone: nothing that it was asked is still under way
    patience = 0.0

    def __init__(self, count: int, orphaned: Callable[[], None]) -> None:
        self.count = count
        self.lanes = count * LANES_EACH
        self._orphaned = orphaned
        self._alive: list[_Worker] = []
        self._threads = ThreadPoolExecutor(self.lanes, thread_name_prefix="worker")
        self._turns = asyncio.Semaphore(self.lanes)

    async def start(self) -> None:
        """Start the processes, all at once."""
        loop = asyncio.get_running_loop()
        starts = [loop.run_in_executor(self._threads, self._started) for _ in range(self.count)]
        self._alive = list(await asyncio.gather(*starts))

    def _started(self) -> _Worker:
        process = _Process(ctx=multiprocessing.get_context("spawn"))
        process.start(_begin, (self._orphaned,))
        hands = process.hands()  # type: ignore[attr-defined]  # made by `register`
        return _Worker(process, hands, hands.pid())

    async def call(
        self, function: Callable[Arguments, Found], *args: Arguments.args, **_: Arguments.kwargs
    ) -> Found:
        """What a function returns in one of the processes, the least busy one.

        Raises:
            WorkerLost: the process ended meanwhile.
            NoWorkers: none is left.
        """
        async with self._turns:
            if not self._alive:
                raise NoWorkers(
                    "All worker processes of the run have ended, as when they are killed or the memory is full. What they "
                    "sent and settled is in the ledger, and the next run over the same input goes on from there."
                )
            worker = min(self._alive, key=lambda one: one.busy)
            worker.busy += 1
            try:
                loop = asyncio.get_running_loop()
                found: Found = await loop.run_in_executor(self._threads, worker.hands.call, function, *args)
            except (EOFError, OSError) as error:
                self._lost(worker)
                raise WorkerLost(f"the worker process {worker.pid} ended") from error
            finally:
                worker.busy -= 1
            return found

    def _lost(self, worker: _Worker) -> None:
        if worker not in self._alive:
            return
        self._alive.remove(worker)
        # whatever is wrong with it: from here on it does nothing more
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        log.warning(
            "Worker process %s ended in the middle of its work; %s of %s are left. What it had not sent goes to another one.",
            worker.pid,
            len(self._alive),
            self.count,
        )

    async def close(self) -> None:
        """End the processes, whatever they are doing."""
        for worker in self._alive:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        for worker in self._alive:
            await asyncio.to_thread(worker.process.shutdown)
        self._alive = []
        self._threads.shutdown(wait=False)


def _begin(orphaned: Callable[[], None]) -> None:
    """What a worker process does first: it ends when it is asked to or its parent is gone, not when a terminal says so."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, args=(orphaned,), name="parent", daemon=True).start()


def _end_with_parent(orphaned: Callable[[], None]) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        try:
            orphaned()
        finally:
            os._exit(1)
