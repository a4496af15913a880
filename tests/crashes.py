"""Nights whose process dies at a commit of the ledger, and others that go on from there.

A process that is killed does nothing more: from its death on, its ledger takes and tells nothing, and nothing leaves.
What it sent is with the provider, which outlives it and is the witness of what was paid.
"""

import asyncio
from collections import Counter
from contextlib import contextmanager, suppress
from random import Random

from sqlalchemy import update

from schemas.ledger import RunRow
from services.ledger import Ledger
from tasks.close_dead import close_dead
from tasks.collect import collect
from tests.fake_batches import BatchGateway
from tests.fakes import identity
from tests.nights import night
from tests.strategies import quick_ledger


class Death(BaseException):
    """The process is gone: no `except Exception` of it can do anything about that."""


class MortalLedger(Ledger):
    """A ledger of a process that dies at one of its commits.

    Args:
        url: of a SQLite ledger.
        last: the number of that commit, from 0; None: it lives on.
        is_kept: whether the database still makes that commit; the process never hears of it either way.

    Attributes:
        commits: how many transactions changed anything.
        is_dead: whether it has died.
        died: called when it dies.
    """

    def __init__(self, url, last=None, *, is_kept=False):
        super().__init__(quick_ledger(url).engine)
        self._last, self._is_kept = last, is_kept
        self.commits = 0
        self.is_dead = False
        self.died = lambda: None

    @contextmanager
    def write(self):
        self.assert_alive()
        with super().write() as connection:
            database = connection.connection.driver_connection
            before = database.total_changes
            yield connection
            self.assert_alive()
            # one that changed nothing is none that anybody could miss; SQLite has one writer, so they are counted in turn
            has_changed = database.total_changes != before
            is_last = has_changed and self.commits == self._last
            self.commits += has_changed
            if is_last and not self._is_kept:
                self._die()
        if is_last:
            self._die()

    @contextmanager
    def read(self):
        self.assert_alive()
        with super().read() as connection:
            yield connection

    def assert_alive(self):
        if self.is_dead:
            raise Death

    def _die(self):
        self.is_dead = True
        self.died()
        raise Death


class Provider(BatchGateway):
    """The API that all lives of a night talk to: it takes a moment to answer, and knows what it was paid for.

    Attributes:
        living: the ledger of the process that talks to it.
        unbilled: the items of each batch, by their place, that it does not bill.
    """

    def __init__(self, seed):
        super().__init__()
        self._random = Random(seed)
        self.living = None
        self.unbilled = frozenset()

    async def send(self, body, *, leaving, weight=None, came_back=None):
        living = self.living

        async def left():
            await leaving()
            living.assert_alive()

        await self._pause()
        reply = await super().send(body, leaving=left, weight=weight)
        await self._pause()
        return reply

    async def create_batch(self, requests):
        self.living.assert_alive()
        made = await super().create_batch(requests)
        await self._pause()
        return made

    async def _pause(self):
        await asyncio.sleep(self._random.choice([0, 0, 0.001, 0.004]))

    @property
    def paid(self):
        """How often each request was paid for, over all lives and in both modes."""
        items = (item for batch in self.made.values() for item in enumerate(batch.values()))
        in_batches = (identity(body) for number, body in items if number not in self.unbilled)
        return Counter([*self.answered, *in_batches])


class Lives:
    """The lives of one night: processes after each other over one ledger, one provider and the same rows.

    Args:
        folder: where the ledger and the results are.
        rows: of the job file.
        provider: of all lives.
        changes: sections of the policy.

    Attributes:
        url: of the ledger.
        number: of the last run.
    """

    def __init__(self, folder, rows, provider, **changes):
        self.url = f"sqlite:///{folder}/ledger.db"
        self.number = 0
        self._folder, self._rows, self._provider, self._changes = folder, rows, provider, changes

    def live(self, last=None, *, is_kept=False):
        """One life, to its end or to its death at a commit; how many commits it made.

        Whoever died before is not heard of for longer than a lease holds.
        """
        _end_leases(self.url)
        self.number += 1
        ledger = self._provider.living = MortalLedger(self.url, last, is_kept=is_kept)
        try:
            asyncio.run(self._until_death(ledger))
        finally:
            ledger.close()
        return ledger.commits

    async def _until_death(self, ledger):
        loop, dead = asyncio.get_running_loop(), asyncio.Event()
        loop.set_exception_handler(lambda *_: None)  # nobody hears the tasks of the dead
        ledger.died = lambda: loop.call_soon_threadsafe(dead.set)
        living, dying = asyncio.ensure_future(self._life(ledger)), asyncio.ensure_future(dead.wait())
        await asyncio.wait({living, dying}, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if not ledger.is_dead:
            await living
            return
        living.cancel()
        with suppress(Death, asyncio.CancelledError):
            await living

    async def _life(self, ledger):
        await close_dead(ledger)
        await night(ledger, self._folder, self.number, self._rows, gateway=self._provider, **self._changes)
        await collect(ledger, self._provider)


def _end_leases(url):
    ledger = quick_ledger(url)
    with ledger.write() as connection:
        connection.execute(update(RunRow).where(RunRow.ended_at.is_(None)).values(lease_until=None))
    ledger.close()
