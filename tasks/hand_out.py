"""Hand out: the two steps that make the calls of a run, done by worker processes in place of this one.

The process of the run stays its owner: it reads, plans, holds money, publishes and reports. What it hands out may be
delivered twice, or be lost with its worker, and the run ends as if neither had happened: an attempt leaves once, and
what left without an answer is of unknown outcome, as after a crash.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from schemas.attempt import Admission
from schemas.delivery import Assignment, Delivered, NoWorkers, Work, WorkerLost
from schemas.errors import BadInput, RunFailed
from schemas.failures import CallFailed
from schemas.job import AttemptId, Shard
from schemas.outcome import Runner
from schemas.policy import Policy
from schemas.report import CallFigures
from services.dask_workers import DaskWorkers
from services.ledger import deliveries
from services.ledger.store import is_lasting_url
from services.worker_processes import WorkerProcesses
from tasks.check_models import why_not_callable
from tasks.deliver import deliver, stop_delivering
from tasks.run import Run
from tasks.shards import SHARD_SIZE

log = logging.getLogger("weighbridge")

#: attempts of one delivery, at most: all of them are looked at again when a worker is lost
PART = 100
#: how often one part is handed out, at most, when its worker is lost each time
_MOST_DELIVERIES = 4


class Workforce(Protocol):
    """Processes that do what they are asked.

    Attributes:
        count: how many they are.
        lanes: how many deliveries they do at once.
        patience: how long what a lost one has sent may still be answered by it, seconds.
    """

    count: int
    lanes: int
    patience: float

    async def start(self) -> None: ...
    async def call(self, function: Callable[..., Any], *args: Any) -> Any: ...
    async def close(self) -> None: ...


class Workers:
    """The workers of one run.

    Args:
        force: the processes.
        assignment: the run, as they need it.
    """

    def __init__(self, force: Workforce, assignment: Assignment) -> None:
        self._force = force
        self._assignment = assignment
        self.admissions = -(-force.lanes * PART // SHARD_SIZE)

    async def count(self, run: Run, shard: Shard) -> int:
        """Have the jobs of a shard counted; how many found a model.

        Raises:
            RunFailed: it could not be done.
        """
        return await self._done(run, Work.COUNT, shard)

    async def send(self, run: Run, admission: Admission) -> int:
        """Have the attempts of an admission sent, and see to what lost workers left of them; how many were answered.

        Raises:
            RunFailed: it could not be done.
        """
        attempts = [attempt.attempt_id for attempt in admission.held]
        size = min(PART, max(1, -(-len(attempts) // self._force.count)))
        parts = [attempts[start : start + size] for start in range(0, len(attempts), size)]
        done = await _all(self._done(run, Work.SEND, part) for part in parts)
        await self._see_to_what_is_left(run, attempts)
        return sum(done)

    async def halt(self, run: Run) -> None:
        """Have nothing more sent: each worker looks at the ledger now and then."""
        if run.halt.reason is None:
            return
        try:
            await run.ledger.off_loop(deliveries.halt, run.reference.key, run.halt.reason)
        except RunFailed as error:
            # without the ledger nothing leaves, and each delivery brings its own end
            log.warning("The workers could not be told to stop: %s", error)

    async def _done(self, run: Run, work: Work, what: Shard | Sequence[AttemptId]) -> int:
        for _ in range(_MOST_DELIVERIES):
            try:
                delivered: Delivered = await self._force.call(deliver, work, self._assignment, what)
            except WorkerLost:
                continue
            return await self._taken_in(run, delivered)
        raise NoWorkers(
            f"Each of {_MOST_DELIVERIES} workers ended in the middle of the same work. What they sent and settled is in the "
            "ledger, and the next run over the same input goes on from there."
        )

    async def _taken_in(self, run: Run, delivered: Delivered) -> int:
        for name in CallFigures.model_fields:
            setattr(run.tally, name, getattr(run.tally, name) + getattr(delivered.calls, name))
        if delivered.halt is not None and run.halt.reason is None:
            run.halt.stop(delivered.halt)
            await self.halt(run)
        if delivered.error is not None:
            raise RunFailed(delivered.error)
        return delivered.done

    async def _see_to_what_is_left(self, run: Run, attempts: Sequence[AttemptId]) -> None:
        """End the attempts that a lost worker left open, once it surely brings no more answers."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._force.patience
        while loop.time() < until and await self._still_out(run, attempts):  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(1)
        left = await run.ledger.off_loop(deliveries.end_left, run.reference.key, attempts)
        if left:
            log.warning(
                "%s attempts were left open by workers that ended: what had been sent is of unknown outcome and keeps its "
                "hold, and the rest is left to the next run.",
                left,
            )

    async def _still_out(self, run: Run, attempts: Sequence[AttemptId]) -> int:
        out: int = await run.ledger.off_loop(deliveries.still_out, attempts)
        return out


async def _all(work: Iterable[Awaitable[int]]) -> list[int]:
    """What each of several pieces of work comes to, once all have ended; the first error is raised then."""
    ended = await asyncio.gather(*work, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if isinstance(one, int)]


@asynccontextmanager
async def with_workers(run: Run) -> AsyncIterator[Run]:
    """The run with the workers that its policy asks for; they end with the block.

    Raises:
        BadInput: they could not use its ledger, or what they need is not installed.
        RunFailed: they could not be started.
    """
    force = workforce(run)
    if force is None:
        yield run
        return
    try:
        await force.start()
        log.info("%s workers count and send, %s.", force.count, run.policy.run.runner)
        reference = replace(run.reference, ledger_url=_absolute(run.reference.ledger_url))
        assignment = Assignment(reference, run.gateway.endpoint, run.gateway.simulated, force.count)
        yield replace(run, workers=Workers(force, assignment))
    finally:
        await force.close()


def workforce(run: Run) -> Workforce | None:
    """The processes that a run's policy asks for, not started yet; None: it does all by itself."""
    rules = run.policy.run
    if rules.runner is Runner.PROCESSES:
        return WorkerProcesses(rules.workers or os.cpu_count() or 1, stop_delivering)
    if rules.runner is Runner.DASK:
        return DaskWorkers(rules.dask_address or "")
    return None


def check_ledger_for_workers(policy: Policy, ledger_url: str) -> None:
    """Check that the workers of a run can open its ledger.

    Raises:
        BadInput: it is in the memory of this process, or a file that workers on other machines do not have.
    """
    if policy.run.runner is Runner.LOCAL:
        return
    try:
        url = make_url(ledger_url)
    except ArgumentError:
        return  # refused when it is opened, with a sentence of its own
    if url.get_backend_name() != "sqlite":
        return
    if url.database in (None, "", ":memory:"):
        raise BadInput("Workers cannot open a ledger in memory; name a file or a database. Nothing was sent.")
    if policy.run.runner is Runner.DASK and not _is_this_machine(policy.run.dask_address or ""):
        raise BadInput(
            f"The ledger {url.render_as_string()} is a file of this machine, and the workers of the cluster at "
            f"{policy.run.dask_address} may be on others. Use a ledger on PostgreSQL, which they reach under the same URL: "
            "--ledger postgresql+psycopg://user@host/database. Nothing was counted or sent."
        )


def _is_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    if host == "localhost" or address.startswith("inproc:"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _absolute(ledger_url: str) -> str:
    """A ledger's URL as another process can use it, whatever its folder is."""
    if is_lasting_url(ledger_url):
        return ledger_url
    url = make_url(ledger_url)
    name = url.database or ""
    scheme = "file:" if name.startswith("file:") else ""
    path = Path(name.removeprefix("file:")).absolute()
    return url.set(database=f"{scheme}{path}").render_as_string(hide_password=False)


async def know_pins(run: Run) -> None:
    """Judge the models that jobs are pinned to, which workers have judged for themselves: reviews speak of them."""
    if run.workers is None:
        return
    for pin in await run.ledger.off_loop(deliveries.pins, run.run_id):
        with suppress(CallFailed):
            await why_not_callable(run.gateway, run.models, pin)


def say_who_sends(run: Run) -> None:
    """Say, in one line, where the calls of a run with workers are made."""
    if run.workers is None or run.senders is not None:
        return
    if run.caching.has_plan:
        log.info(
            "Shared prefixes are cached: who waits for the first job of one must see its answer, so this process sends."
        )
    else:
        log.info("Batches take few calls: this process makes them.")
