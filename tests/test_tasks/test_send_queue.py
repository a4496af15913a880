"""The queue of a run: no stage makes more task runs than the policy says, and nobody waits longer than it must."""

import asyncio
from collections import Counter

import pytest

from services.ledger import jobs
from tasks.count_tokens import count_tokens
from tasks.find_prefixes import find_prefixes
from tasks.send_queue import SendQueue
from tasks.shards import in_shards
from tasks.step import Step
from tests.marked_runs import Scale, a_run_of, is_marked, sharing
from tests.nights import a_run_on_record, ended
from tests.strategies import job, quick_ledger, request


@pytest.mark.parametrize("most", [1, 3, 50])
async def test_no_stage_makes_more_than_max_task_runs(tmp_path, monkeypatch, most):
    shown = Counter()

    def as_a_task_run(self, *args, **options):
        shown[self.__name__] += 1
        return self.plain(*args, **options)

    monkeypatch.setattr(Step, "__call__", as_a_task_run)
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    run = await a_run_on_record(ledger, folder=tmp_path, max_task_runs=most)
    jobs.add(ledger, run.run_id, [job(n, text=f"job {n}") for n in range(9)], [])
    await in_shards(count_tokens, run, 9)
    await SendQueue(run, 1).drain()
    assert set(ended(ledger, run.run_id).values()) == {"succeeded"}
    assert shown["send"] == min(most, 9)
    # the end of the queue may be looked at more than once
    assert min(most, 10) <= shown["admit"] <= most
    ledger.close()


class OneSlow(Scale):
    """Calls whose text says so are not answered until the test lets them."""

    def __init__(self):
        super().__init__()
        self.may_end = asyncio.Event()

    async def send(self, body, *, leaving, weight=None, came_back=None):
        reply = await super().send(body, leaving=leaving, weight=weight)
        if "slow" in body["messages"][0]["content"]:
            await self.may_end.wait()
        return reply


async def test_the_jobs_of_a_prefix_go_when_its_first_is_answered_whatever_else_is_in_flight(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    gateway = OneSlow()
    run = await a_run_of(ledger, tmp_path, [*sharing(6), request("slow")], gateway)
    assert await find_prefixes(run) == 1
    draining = asyncio.create_task(SendQueue(run, 50).drain())
    async with asyncio.timeout(30):
        while sum(map(is_marked, gateway.sent)) < 6:  # noqa: ASYNC110 - what the gateway has seen rings no bell
            await asyncio.sleep(0.01)
    assert not draining.done()
    gateway.may_end.set()
    await draining
    assert set(ended(ledger, run.run_id).values()) == {"succeeded"}
    ledger.close()
