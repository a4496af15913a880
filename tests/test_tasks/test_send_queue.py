"""The queue of a run: no stage makes more task runs than the policy says, however many shards it has."""

from collections import Counter

import pytest

from services.ledger import jobs
from tasks.count_tokens import count_tokens
from tasks.send_queue import SendQueue
from tasks.shards import in_shards
from tasks.step import Step
from tests.nights import a_run_on_record, ended
from tests.strategies import job, quick_ledger


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
