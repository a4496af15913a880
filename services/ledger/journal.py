"""The journal: what happens to attempts, item by item, written to the ledger in groups.

A caller waits until what it said is on record; callers that come close together share one transaction.
"""

import asyncio
from dataclasses import dataclass, field

from schemas.attempt import Settlement
from schemas.job import AttemptId
from services.ledger.settle import record_leaving, settle
from services.ledger.store import Ledger

#: how long a group gathers, seconds: short beside any answer's latency, long beside a commit
_GATHER_SECONDS = 0.01


@dataclass(slots=True)
class _Group:
    leaving: list[AttemptId] = field(default_factory=list)
    ended: list[Settlement] = field(default_factory=list)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


class Journal:
    """Group commits of one run, on one event loop.

    Args:
        ledger: where they go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._group = _Group()
        self._writer: asyncio.Task[None] | None = None

    async def leaving(self, attempt_id: AttemptId) -> None:
        """Returns once the ledger holds that this attempt's bytes may leave."""
        self._group.leaving.append(attempt_id)
        await self._on_record()

    async def ended(self, settlement: Settlement) -> None:
        """Returns once the ledger holds how this attempt ended."""
        self._group.ended.append(settlement)
        await self._on_record()

    async def _on_record(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._group.waiters.append(waiter)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await waiter

    async def _write(self) -> None:
        try:
            while self._group.waiters:
                await asyncio.sleep(_GATHER_SECONDS)
                group, self._group = self._group, _Group()
                try:
                    await self._ledger.off_loop(_write_group, group)
                except Exception as error:  # noqa: BLE001 - each waiter raises it
                    _wake(group.waiters, error)
                else:
                    _wake(group.waiters, None)
        finally:
            self._writer = None


def _write_group(ledger: Ledger, group: _Group) -> None:
    with ledger.write() as connection:
        record_leaving(connection, group.leaving)
        settle(connection, group.ended)


def _wake(waiters: list[asyncio.Future[None]], error: Exception | None) -> None:
    for waiter in waiters:
        if waiter.done():  # its caller was cancelled meanwhile
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)
