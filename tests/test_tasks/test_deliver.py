"""Deliveries: made twice, at once, late or cut short by a kill, they pay nothing twice and lose no row."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.nightly_batch import weigh_and_send
from schemas.delivery import Assignment, Delivered, NoWorkers, WorkerLost
from schemas.ledger import AttemptRow
from schemas.outcome import Reason
from services.ledger import runs
from tasks.deliver import Desk
from tasks.hand_out import Workers
from tasks.read_jobs import read_jobs
from tasks.run import Run
from tasks.shards import Sizes
from tests.fake_batches import all_rows, assert_budgets_add_up
from tests.fakes import FakeGateway, identity
from tests.nights import KINDS, Rows, a_run_on_record, ended, text_row
from tests.strategies import examples, quick_ledger


class Unhurried(FakeGateway):
    """Takes a while between the first byte and the answer; what leaves is kept in a log that all workers share."""

    def __init__(self, random, log):
        super().__init__()
        self._random, self._log = random, log

    async def send(self, body, *, leaving, weight=None):
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
        for number in range(random.randrange(5, 60))
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
@settings(max_examples=examples(80))
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


class Steady:
    """One worker, which does what it is asked to with these results."""

    patience, count, lanes = 0.0, 2, 16

    def __init__(self, *results):
        self._results = list(results)
        self.asked = []

    async def call(self, function, work, assignment, what):
        self.asked.append((work, what))
        result = self._results.pop(0) if self._results else Delivered()
        if isinstance(result, type):
            raise result
        return result


async def handed_out(ledger, folder, *results, rows=4):
    run = await a_run_on_record(ledger, folder=folder)
    await read_jobs(run, Rows([{"job_id": f"job-{n}"} | text_row(f"job {n}") for n in range(rows)]), None)
    force = Steady(*results)
    workers = Workers(force, Assignment(run.reference, "http://fake", True, 2))
    return replace(run, workers=workers), force


async def test_a_desk_reports_its_calls_once_and_why_its_run_must_stop(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    run, _ = await handed_out(ledger, tmp_path)
    gateway = FakeGateway()
    desk = Desk(Run.of(run.reference, ledger, gateway, run.models), AsyncExitStack())
    gateway.tally.count = 7
    desk.run.halt.stop(Reason.ACCESS_DENIED)
    first = await desk.do("send", [])
    assert (first.calls.count, first.halt, first.error) == (7, Reason.ACCESS_DENIED, None)
    assert (await desk.do("send", [])).calls.count == 0
    ledger.close()


async def test_an_error_in_a_worker_comes_back_as_a_sentence_that_quotes_nothing(tmp_path, monkeypatch):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    run, _ = await handed_out(ledger, tmp_path)
    desk = Desk(run, AsyncExitStack())

    def broken(*_):
        raise KeyError("hidden words of a payload")

    monkeypatch.setattr("tasks.deliver.deliveries.unsent", broken)
    found = await desk.do("send", ["att_1"])
    assert "KeyError" in found.error
    assert "hidden" not in found.error
    ledger.close()
