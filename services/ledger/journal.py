"""The journal: what happens to attempts, item by item, written to the ledger in groups.

A caller waits until what it said is on record; callers that come close together share one transaction. Answers are
never thrown away while they can still be written: while the ledger is locked or away, the group waits, and since its
attempts wait with it, nothing leaves meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from schemas.attempt import Settlement
from schemas.budget import DayCaps
from schemas.job import AttemptId
from schemas.run import RunKey
from services.ledger.leases import new_token
from services.ledger.leaving import Leaving, LeftBefore, record_back, record_leaving
from services.ledger.reviews.standing import TakenBack
from services.ledger.settle import settle
from services.ledger.store import Ledger, LedgerUnavailable, NotOwner
from services.ledger.windows import NoRoomToday

log = logging.getLogger("weighbridge")

#: how long a group gathers, seconds: short compared with any answer's latency, long compared with a commit, most of
#: whose cost is the same for one attempt and for many
_GATHER_SECONDS = 0.025
#: the pause before a group that could not be written is tried again, seconds
_RETRY_SECONDS = 2
Waiter = asyncio.Future[None]
T = TypeVar("T")


class _Written(NamedTuple):
    """What a group's transaction came to.

    Attributes:
        late: attempts that were answered after they had been closed.
    """

    leaving: Leaving
    back: set[AttemptId]
    late: list[str]


@dataclass(slots=True)
class _Group:
    leaving: list[tuple[AttemptId, Waiter]] = field(default_factory=list)
    #: that came back unbilled, with the tokens that they left by
    back: list[tuple[AttemptId, str, asyncio.Future[bool]]] = field(default_factory=list)
    ended: list[tuple[Settlement, Waiter]] = field(default_factory=list)
    #: a group that is written again, because its commit brought no answer, lets the same attempts leave
    token: str = field(default_factory=new_token)

    def __bool__(self) -> bool:
        return bool(self.leaving or self.back or self.ended)


class Journal:
    """Group commits of one run, on one event loop.

    Args:
        ledger: where they go.
        run: the run, with the token with which its attempts may leave.
        today: the budget day that it is, and its caps.
    """

    def __init__(self, ledger: Ledger, run: RunKey, today: Callable[[], DayCaps]) -> None:
        self._ledger, self._run, self._today = ledger, run, today
        self._group = _Group()
        self._writer: asyncio.Task[None] | None = None
        #: the tokens that attempts left by which have not ended
        self._left_by: dict[AttemptId, str] = {}

    async def leaving(self, attempt_id: AttemptId) -> None:
        """Returns once the ledger holds that this attempt's bytes may leave.

        Raises:
            NotOwner: another process has taken the run over; no byte may leave.
            NoRoomToday: the day has changed, and the new one has no room for it; no byte may leave.
            TakenBack: a person does not let its job pass any more; no byte may leave.
            LeftBefore: it has left or ended by another delivery; no byte may leave.
        """
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._group.leaving.append((attempt_id, waiter))
        await self._on_record(waiter)

    async def came_back(self, attempt_id: AttemptId) -> bool:
        """Returns once the ledger holds that this attempt, which left, surely was not billed and is to leave again.

        From then on it stands as if it had never left: a run that ends before its next try gives its money back.

        Returns:
            Whether it may leave again: not when another process has the run, or has ended the attempt.

        Raises:
            RunFailed: the ledger refused it for good.
        """
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._group.back.append((attempt_id, self._left_by.pop(attempt_id, ""), waiter))
        return await self._on_record(waiter)

    async def ended(self, settlement: Settlement) -> None:
        """Returns once the ledger holds how this attempt ended.

        Raises:
            RunFailed: the ledger refused it for good.
        """
        self._left_by.pop(settlement.attempt_id, None)
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._group.ended.append((settlement, waiter))
        await self._on_record(waiter)

    async def _on_record(self, waiter: asyncio.Future[T]) -> T:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await waiter

    async def _write(self) -> None:
        try:
            while self._group:
                await asyncio.sleep(_GATHER_SECONDS)
                group, self._group = self._group, _Group()
                await self._put_on_record(group)
        finally:
            self._writer = None

    async def _put_on_record(self, group: _Group) -> None:
        """Write a group as soon as the ledger takes it; one bad value stops only its own item."""
        while True:
            try:
                written = await asyncio.to_thread(self._write_group, group)
            except LedgerUnavailable as error:
                log.warning("%s %s answers wait to be written.", error, len(group.ended))
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception as error:  # noqa: BLE001 - each waiter raises it
                await self._one_by_one(group, error)
                return
            else:
                self._wake(group, written)
                for attempt_id in written.late:
                    log.warning(
                        "Attempt %s was answered after it had been closed; its cost is booked.", attempt_id
                    )
                return

    async def _one_by_one(self, group: _Group, error: Exception) -> None:
        """Write each item of a refused group by itself, so that the refused one takes no other along."""
        items = [_Group(leaving=[one], token=group.token) for one in group.leaving]
        items += [_Group(back=[one]) for one in group.back]
        items += [_Group(ended=[one]) for one in group.ended]
        if len(items) > 1:
            for item in items:
                await self._put_on_record(item)
            return
        waiters: list[asyncio.Future[Any]] = [waiter for _, waiter in group.leaving]
        waiters += [waiter for _, _, waiter in group.back]
        waiters += [waiter for _, waiter in group.ended]
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _write_group(self, group: _Group) -> _Written:
        with self._ledger.write() as connection:
            attempts = [attempt_id for attempt_id, _ in group.leaving]
            leaving = record_leaving(connection, self._run, attempts, self._today(), group.token)
            came_back = [(attempt_id, token) for attempt_id, token, _ in group.back]
            back = record_back(connection, self._run, came_back)
            late = settle(connection, [settlement for settlement, _ in group.ended])
        return _Written(leaving, back, late)

    def _wake(self, group: _Group, written: _Written) -> None:
        for _, ended in group.ended:
            if not ended.done():  # else its caller was cancelled meanwhile
                ended.set_result(None)
        for attempt_id, _, back in group.back:
            if not back.done():
                back.set_result(attempt_id in written.back)
        self._wake_leaving(group, written.leaving)

    def _wake_leaving(self, group: _Group, leaving: Leaving) -> None:
        may_leave, left = set(leaving.marked), set(leaving.gone)
        for attempt_id, waiter in group.leaving:
            if waiter.done():
                continue
            if attempt_id in leaving.taken_back:
                waiter.set_exception(TakenBack({attempt_id: leaving.taken_back[attempt_id]}))
            elif attempt_id in may_leave:
                # two deliveries may have asked in one group
                may_leave.remove(attempt_id)
                left.add(attempt_id)
                self._left_by[attempt_id] = group.token
                waiter.set_result(None)
            elif attempt_id in leaving.staying:
                waiter.set_exception(NoRoomToday([attempt_id]))
            elif attempt_id in left:
                waiter.set_exception(LeftBefore(attempt_id))
            else:
                waiter.set_exception(NotOwner(self._run.run_id))
