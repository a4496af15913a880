"""Deliveries: made twice, at once, late or cut short by a kill, they pay nothing twice and lose no row."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from flows.nightly_batch import weigh_and_send
from schemas.delivery import Assignment, NoWorkers, Work, WorkerLost
from schemas.ledger import AttemptRow, RunRow
from schemas.outcome import Reason
from services.ledger import deliveries, runs
from tasks.deliver import Desk, deliver
from tasks.hand_out import Workers
from tasks.read_jobs import read_jobs
from tasks.run import Run
from tasks.shards import Sizes
from tests.fake_batches import all_rows, assert_budgets_add_up
from tests.fakes import FakeGateway, identity
from tests.nights import KINDS, Rows, a_run, a_run_on_record, ended
from tests.processes import SECONDS
from tests.strategies import examples, quick_ledger

pytestmark = pytest.mark.one_database


class Unhurried(FakeGateway):
    """Takes a while between the first byte and the answer; what leaves is kept in a log that all workers share."""

    def __init__(self, random, log):
        super().__init__()
        self._random, self._log = random, log

    async def send(self, body, *, leaving, weight=None, came_back=None):
        async def left():
            await leaving()
            self._log.append(identity(body))
            await self._pause()

        await self._pause()
        return await super().send(body, leaving=left, weight=weight)

    async def _pause(self):
        for _ in range(self._random.randrange(3)):
            await asyncio.sleep(0.002)


class ShakyForce:
    """Workers in this process. Some are killed, and some deliveries are made twice, at once or late.

    Args:
        run: the owner's.
        seed: of what happens when.
    """

    patience = 0.0

    def __init__(self, run, seed, workers=3):
        self._run, self._random = run, Random(seed)
        self.log = []
        self.count, self.lanes = workers, 8 * workers
        self._desks = [self._desk() for _ in range(workers)]
        self._tasks = {}
        self._kills = 3
        self.twins = []

    def _desk(self):
        gateway = Unhurried(self._random, self.log)
        run = Run.of(self._run.reference, self._run.ledger, gateway, self._run.models)
        return Desk(run, AsyncExitStack())

    async def call(self, function, work, assignment, what):
        await self._mishap(work, what)
        return await self._on_a_desk(work, what)

    async def _mishap(self, work, what):
        match self._random.randrange(6):
            case 0:
                self.twins.append(asyncio.ensure_future(self._twin(work, what, 0)))
            case 1:
                self.twins.append(asyncio.ensure_future(self._twin(work, what, 0.02)))
            case 2:
                # it had finished, and its worker died before anybody had the result
                with suppress(WorkerLost):
                    await self._on_a_desk(work, what)
            case 3 if self._kills:
                self._kills -= 1
                self.twins.append(asyncio.ensure_future(self._kill(self._random.random() / 20)))

    async def _twin(self, work, what, late):
        await asyncio.sleep(late)
        with suppress(WorkerLost):
            await self._on_a_desk(work, what)

    async def _on_a_desk(self, work, what):
        desk = self._random.choice(self._desks)
        doing = asyncio.ensure_future(desk.do(work, what))
        self._tasks.setdefault(desk, set()).add(doing)
        await asyncio.wait({doing})
        if doing.cancelled():
            raise WorkerLost
        return doing.result()

    async def _kill(self, after):
        """A worker goes with all that it was doing; another process takes its place."""
        await asyncio.sleep(after)
        number = self._random.randrange(self.count)
        killed, self._desks[number] = self._desks[number], self._desk()
        for doing in self._tasks.pop(killed, ()):
            doing.cancel()
        if killed.run.journal._writer is not None:
            killed.run.journal._writer.cancel()


NAMES = [f"send:{how}" for how in ("refused", "passing", "maybe")] + ["good"] * 9 + ["count:passing", "heavy"]


async def shaky_night(ledger, folder, seed):
    random = Random(seed)
    rows = [
        {"job_id": f"job-{number}"} | KINDS[random.choice(NAMES)][0](number)
        for number in range(random.randrange(5, 30))
    ]
    run = await a_run_on_record(ledger, folder=folder)
    await read_jobs(run, Rows(rows), None)
    force = ShakyForce(run, seed)
    run = replace(run, workers=Workers(force, Assignment(run.reference, "http://fake", True, force.count)))
    try:
        await weigh_and_send(run, Sizes(count=random.randrange(1, 20), admit=random.randrange(1, 30)))
    except NoWorkers:
        runs.close_own_books(ledger, run.reference.key, review_unknown=True)
    await asyncio.gather(*force.twins, return_exceptions=True)
    return run, force, len(rows)


SEEDS = st.integers(0, 2**32)


@settings(max_examples=examples(4))
@given(seed=SEEDS)
def test_deliveries_in_any_order_made_twice_and_killed_pay_nothing_twice_and_lose_no_row(
    tmp_path_factory, seed
):
    pays_once_and_loses_nothing(tmp_path_factory, seed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@settings(max_examples=examples(40))
@given(seed=SEEDS)
def test_the_same_holds_for_many_more_nights(tmp_path_factory, seed):
    pays_once_and_loses_nothing(tmp_path_factory, seed)


def pays_once_and_loses_nothing(tmp_path_factory, seed):
    folder = tmp_path_factory.mktemp("night")
    ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
    try:
        run, force, rows = asyncio.run(shaky_night(ledger, folder, seed))
        assert [body for body, times in Counter(force.log).items() if times > 1] == []
        outcomes = ended(ledger, run.run_id)
        assert len(outcomes) == rows
        assert None not in outcomes.values()
        attempts = all_rows(ledger, AttemptRow)
        assert {row.state for row in attempts} <= {"succeeded", "failed", "unknown"}
        # what left is on record as having left, and nothing else is
        assert len(force.log) <= sum(row.sent_at is not None for row in attempts)
        for row in attempts:
            if row.sent_at is None:
                assert row.state == "failed"
        assert_budgets_add_up(ledger)
    finally:
        ledger.close()


async def a_desk(ledger, folder, gateway=None):
    run = await a_run_on_record(ledger, gateway, folder)
    return Desk(run, AsyncExitStack())


async def test_a_desk_reports_its_calls_once_and_why_its_run_must_stop(ledger, tmp_path):
    desk = await a_desk(ledger, tmp_path)
    desk.run.tally.count = 7
    desk.run.halt.stop(Reason.ACCESS_DENIED)
    first = await desk.do(Work.SEND, [])
    assert (first.calls.count, first.halt, first.error) == (7, Reason.ACCESS_DENIED, None)
    assert (await desk.do(Work.SEND, [])).calls.count == 0


async def test_an_error_in_a_worker_comes_back_as_a_sentence_that_quotes_nothing(
    ledger, tmp_path, monkeypatch
):
    desk = await a_desk(ledger, tmp_path)

    def broken(*_):
        raise KeyError("hidden words of a payload")

    monkeypatch.setattr("tasks.deliver.deliveries.unsent", broken)
    found = await desk.do(Work.SEND, ["att_1"])
    assert "KeyError" in found.error
    assert "hidden" not in found.error


async def test_a_desk_stops_when_its_run_is_halted_and_is_left_when_it_is_over(ledger, tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.deliver.LOOK_SECONDS", 0.01)
    desk = await a_desk(ledger, tmp_path)
    watching = asyncio.ensure_future(desk.watch())
    deliveries.halt(ledger, desk.run.reference.key, Reason.INTERRUPTED)
    async with asyncio.timeout(SECONDS):
        while desk.run.halt.reason is None:  # noqa: ASYNC110 - what the desk has seen rings no bell
            await asyncio.sleep(0.01)
    assert desk.run.halt.reason is Reason.INTERRUPTED
    assert not watching.done()
    with ledger.write() as connection:
        connection.execute(update(RunRow).values(owner="another"))
    await asyncio.wait_for(watching, SECONDS)


def test_a_worker_whose_ledger_knows_no_such_run_does_nothing_and_says_so(tmp_path):
    run = a_run(folder=tmp_path)
    reference = replace(run.reference, ledger_url=f"sqlite:///{tmp_path}/empty.db")
    found = deliver(Work.SEND, Assignment(reference, "http://fake", True, 1), ["att_1"])
    assert "finds no run run-1 under way in its ledger" in found.error
    assert found.done == 0
