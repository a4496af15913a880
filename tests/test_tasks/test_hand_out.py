"""Handing out: lost workers are replaced by others, halts and errors reach the run, and what they left is ended."""

from dataclasses import replace

import pytest

from schemas.delivery import Assignment, Delivered, NoWorkers, Work, WorkerLost
from schemas.errors import BadInput, RunFailed
from schemas.job import Shard
from schemas.ledger import AttemptRow, RunRow
from schemas.outcome import Reason
from schemas.report import CallFigures
from services.dask_workers import DaskWorkers
from services.worker_processes import WorkerProcesses
from tasks.admit import admit
from tasks.hand_out import PART, Workers, check_ledger_for_workers, know_pins, say_who_sends, workforce
from tasks.read_jobs import read_jobs
from tasks.send import send
from tests.fake_batches import all_rows, outcomes
from tests.nights import Rows, a_run, a_run_on_record, text_row, weigh
from tests.strategies import policy

pytestmark = pytest.mark.one_database

CLUSTER = {"runner": "dask", "dask_address": "tcp://10.0.0.5:8786"}
HERE = CLUSTER | {"dask_address": "tcp://127.0.0.1:8786"}


class Steady:
    """Workers that bring these results in order, or raise them, and after that have done nothing."""

    patience = 0.0

    def __init__(self, *results, count=2):
        self._results = list(results)
        self.count, self.lanes = count, 8 * count
        self.asked = []

    async def call(self, function, work, assignment, what):
        self.asked.append((work, what))
        result = self._results.pop(0) if self._results else Delivered()
        if isinstance(result, Exception):
            raise result
        return result


async def staffed(ledger, folder, force, rows=5):
    run = await a_run_on_record(ledger, folder=folder)
    await read_jobs(run, Rows([{"job_id": f"job-{n}"} | text_row(f"job {n}") for n in range(rows)]), None)
    await weigh(run, 99)
    return replace(run, workers=Workers(force, Assignment(run.reference, "http://fake", True, force.count)))


async def test_an_admission_is_split_over_the_workers(ledger, tmp_path):
    force = Steady(Delivered(2), Delivered(1), count=2)
    run = await staffed(ledger, tmp_path, force)
    admission = await admit(run, 99, may_defer=True)
    assert await send(run, admission) == 3
    ids = [attempt.attempt_id for attempt in admission.held]
    assert force.asked == [(Work.SEND, ids[:3]), (Work.SEND, ids[3:])]


async def test_a_part_is_not_too_large_however_few_workers_there_are(ledger, tmp_path):
    force = Steady(count=1)
    run = await staffed(ledger, tmp_path, force, rows=2 * PART + 1)
    await send(run, await admit(run, 999, may_defer=True))
    assert [len(what) for _, what in force.asked] == [PART, PART, 1]


async def test_what_a_lost_worker_was_asked_goes_to_another_one_and_what_stays_open_is_ended(
    ledger, tmp_path
):
    force = Steady(WorkerLost(), WorkerLost(), Delivered(4), count=1)
    run = await staffed(ledger, tmp_path, force)
    assert await send(run, await admit(run, 99, may_defer=True)) == 4
    assert len(force.asked) == 3
    assert {row.state for row in all_rows(ledger, AttemptRow)} == {"failed"}
    assert outcomes(ledger) == ["deferred"] * 5


async def test_work_that_ends_each_of_its_workers_is_not_handed_out_for_ever(ledger, tmp_path):
    run = await staffed(ledger, tmp_path, Steady(*[WorkerLost() for _ in range(9)], count=1))
    with pytest.raises(NoWorkers, match="in the middle of the same work"):
        await run.workers.count(run, Shard(0, 4))


async def test_calls_are_added_up_and_a_halt_stops_the_run_and_is_written_for_the_other_workers(
    ledger, tmp_path
):
    force = Steady(
        Delivered(1, CallFigures(message=2, retried=1)),
        Delivered(1, CallFigures(message=3), halt=Reason.ACCESS_DENIED),
        Delivered(0, halt=Reason.ENDPOINT_UNUSABLE),
    )
    run = await staffed(ledger, tmp_path, force)
    counted = run.tally.count
    for _ in range(3):
        await run.workers.count(run, Shard(0, 4))
    assert (run.tally.message, run.tally.retried, run.tally.count) == (5, 1, counted)
    assert run.halt.reason is Reason.ACCESS_DENIED
    assert [row.halted for row in all_rows(ledger, RunRow)] == ["access_denied"]


async def test_an_error_of_a_worker_ends_the_run_with_its_sentence_once_the_others_have_ended(
    ledger, tmp_path
):
    force = Steady(Delivered(error="The ledger is away."), Delivered(3))
    run = await staffed(ledger, tmp_path, force)
    with pytest.raises(RunFailed, match="The ledger is away"):
        await send(run, await admit(run, 99, may_defer=True))
    assert len(force.asked) == 2


async def test_batches_and_cached_beginnings_are_sent_by_the_run_itself_and_it_says_so(
    ledger, tmp_path, caplog
):
    force = Steady()
    run = await staffed(ledger, tmp_path, force)
    assert run.senders is run.workers
    with caplog.at_level("INFO", "weighbridge"):
        say_who_sends(run)
        assert caplog.text == ""
        batches = replace(run, reference=replace(run.reference, policy=policy(mode="batches")))
        assert batches.senders is None
        say_who_sends(batches)
        assert "Batches take few calls" in caplog.text
        run.caching._prefixes["key"] = None
        assert run.senders is None
        say_who_sends(run)
        assert "Shared prefixes" in caplog.text


async def test_models_that_only_workers_have_judged_are_judged_again_by_the_owner(ledger, tmp_path):
    run = await staffed(ledger, tmp_path, Steady(), rows=0)
    pinned = {"job_id": "pin"} | text_row("pinned", model="claude-of-no-price")
    await read_jobs(run, Rows([pinned]), None)
    assert not run.models.is_judged("claude-of-no-price")
    await know_pins(run)
    assert run.models.is_judged("claude-of-no-price")


def test_the_policy_says_which_workers_a_run_has():
    assert workforce(a_run()) is None
    processes = workforce(a_run(run={"runner": "processes", "workers": 3}))
    assert isinstance(processes, WorkerProcesses)
    assert processes.count == 3
    assert isinstance(workforce(a_run(run=CLUSTER)), DaskWorkers)


@pytest.mark.parametrize(
    ("rules", "url", "words"),
    [
        (CLUSTER, "sqlite:///ledger.db", "Use a ledger on PostgreSQL"),
        (CLUSTER, "sqlite:////srv/ledger.db", "Use a ledger on PostgreSQL"),
        (CLUSTER | {"dask_address": "tcp://cluster:8786"}, "sqlite:////srv/ledger.db", "PostgreSQL"),
        (HERE, "sqlite://", "in memory"),
        ({"runner": "processes"}, "sqlite:///:memory:", "in memory"),
    ],
)
def test_a_ledger_that_workers_cannot_open_is_refused_with_what_to_do(rules, url, words):
    with pytest.raises(BadInput, match=words):
        check_ledger_for_workers(policy(run=rules), url)


@pytest.mark.parametrize(
    ("rules", "url"),
    [
        ({"runner": "local"}, "sqlite://"),
        ({"runner": "processes"}, "sqlite:///ledger.db"),
        (HERE, "sqlite:///ledger.db"),
        (HERE | {"dask_address": "tcp://localhost:8786"}, "sqlite:////srv/ledger.db"),
        (HERE | {"dask_address": "tls://[::1]:8786"}, "sqlite:////srv/ledger.db"),
        (CLUSTER, "postgresql+psycopg://user@db/ledger"),
        (CLUSTER, "no url"),
    ],
)
def test_any_other_ledger_is_taken(rules, url):
    check_ledger_for_workers(policy(run=rules), url)


async def test_a_cluster_that_does_not_answer_is_a_sentence(monkeypatch):
    monkeypatch.setattr("services.dask_workers._CONNECT_SECONDS", 0.2)
    force = DaskWorkers("tcp://127.0.0.1:9")
    with pytest.raises(RunFailed, match=r"No Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        await force.start()
    await force.close()


async def test_without_dask_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(BadInput, match=r"weighbridge\[dask\]"):
        await DaskWorkers("tcp://127.0.0.1:9").start()
