"""The journal: an answer in memory is never thrown away while it can still be written."""

import asyncio
import logging

import pytest
from sqlalchemy import select

from schemas.budget import DayCaps
from schemas.errors import RunFailed
from schemas.ledger import AttemptRow
from services.ledger import journal as journal_module
from services.ledger.journal import Journal
from services.ledger.store import LedgerUnavailable
from tests.ledgers import started, succeeded
from tests.strategies import key_of, take

DAY = DayCaps("2026-11-22", lambda _: ())


@pytest.fixture
def held(ledger):
    started(ledger, 3)
    return take(ledger, [10, 10, 10]).held


@pytest.fixture
def journal(ledger, monkeypatch):
    monkeypatch.setattr(journal_module, "_RETRY_SECONDS", 0.01)
    return Journal(ledger, key_of("run-1"), lambda: DAY)


def states(ledger):
    with ledger.read() as connection:
        return sorted(connection.scalars(select(AttemptRow.state)))


async def test_while_the_ledger_is_locked_answers_wait_and_nothing_leaves(
    ledger, held, journal, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    real, unlocked, three_times = journal_module.settle, asyncio.Event(), asyncio.Event()
    loop, tries = asyncio.get_running_loop(), []

    def settle(connection, settlements):
        tries.append(len(settlements))
        if len(tries) == 3:
            loop.call_soon_threadsafe(three_times.set)
        if not unlocked.is_set():
            raise LedgerUnavailable("The ledger could not be written (OperationalError).")
        return real(connection, settlements)

    monkeypatch.setattr(journal_module, "settle", settle)
    answers = [asyncio.ensure_future(journal.ended(succeeded(one))) for one in held[:2]]
    leaving = asyncio.ensure_future(journal.leaving(held[2].attempt_id))
    await asyncio.wait_for(three_times.wait(), 20)
    assert not any(task.done() for task in (*answers, leaving))
    assert states(ledger) == ["open"] * 3
    assert "2 answers wait to be written" in caplog.text
    unlocked.set()
    await asyncio.gather(*answers, leaving)
    assert states(ledger) == ["open", "succeeded", "succeeded"]


async def test_a_value_that_the_ledger_refuses_takes_no_other_answer_along(ledger, held, journal):
    ends = [succeeded(held[0]), succeeded(held[1], cost=2**63), succeeded(held[2])]
    found = await asyncio.gather(*(journal.ended(end) for end in ends), return_exceptions=True)
    assert [found[0], found[2]] == [None, None]
    assert isinstance(found[1], RunFailed | OverflowError)
    assert states(ledger) == ["open", "succeeded", "succeeded"]
