"""A run whose calls are made by worker processes: the same outcomes and bill as without, whatever becomes of a worker."""

import signal
from collections import Counter

import psutil
import pytest

from tests.processes import kill_when, until

pytestmark = pytest.mark.prefect

SLOW = "[latency]\nmessage_seconds = 1.0\n"
PROCESSES = ("--runner", "processes", "--workers", 2)


def many_jobs(yard, rows):
    return yard.jobs(
        [
            {"job_id": f"job-{number}", "prompt": f"number {number} [[output_tokens={5 + number % 40}]]"}
            for number in range(rows)
        ]
    )


def workers_of(command):
    """The worker processes of a command that is under way."""
    children = psutil.Process(command.process.pid).children(recursive=True)
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def assert_nothing_is_billed_twice(witness):
    billed = Counter(line["payload_sha256"] for line in witness.billed())
    assert not [payload for payload, times in billed.items() if times > 1]


def test_two_workers_bring_the_outcomes_and_the_bill_of_one_process(yard, tmp_path):
    jobs = many_jobs(yard, 60)
    policy = yard.policy()
    with yard.simulator():
        by_workers = yard.run(jobs, "--policy", policy, *PROCESSES)
        billed = yard.witness.billed()
        yard.assert_accounted(by_workers, 60)
        yard.assert_agreement(by_workers, billed)
        assert by_workers["calls"]["count"] == by_workers["calls"]["message"] == 60
        # another ledger, so that nothing was paid for before
        local = yard.run(jobs, "--policy", policy, "--ledger", f"sqlite:///{tmp_path}/local.db")
    for part in ("jobs", "tokens", "models", "usd"):
        assert by_workers[part] == local[part]


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_sends_costs_nothing_twice_and_loses_no_row(yard):
    rows = 80
    jobs = many_jobs(yard, rows)
    policy = yard.policy(max_in_flight=20)
    with yard.simulator(SLOW):
        with yard.start("run", jobs, "--json", "--policy", policy, *PROCESSES) as command:
            command.until(lambda: yard.called()[1] >= 25, "requests")
            victim, _ = workers_of(command)
            # each has at most 10 calls in flight: with more than that, the victim has some
            until(
                lambda: command.has_ended() or kill_when(victim.pid, lambda: yard.in_flight() > 10),
                "calls of both workers in flight",
            )
            ended = command.finish()
        assert ended.code == 4, ended.told()
        report = ended.json
        assert_nothing_is_billed_twice(yard.witness)
    yard.assert_accounted(report, rows)
    attempts = yard.rows("SELECT * FROM attempts WHERE run_id = ?", report["run_id"])
    assert len(attempts) == rows
    unknown = [row for row in attempts if row["state"] == "unknown"]
    # what was in flight in the one that was killed, and no more
    assert 1 <= len(unknown) <= 10
    assert all(row["sent_at"] and row["held_nano_usd"] == row["worst_case_nano_usd"] for row in unknown)
    assert report["jobs"]["succeeded"] == rows - len(unknown)
    assert report["jobs"]["unknown"] == len(unknown)
    yard.assert_ledger_is_true()


@pytest.mark.slow
def test_a_run_whose_workers_are_all_gone_ends_with_its_books_closed_and_the_next_one_goes_on(yard):
    rows = 80
    jobs = many_jobs(yard, rows)
    policy = yard.policy(max_in_flight=20)
    with yard.simulator(SLOW):
        with yard.start("run", jobs, "--policy", policy, *PROCESSES) as command:
            command.until(lambda: yard.called()[1] >= 25, "requests")
            for worker in workers_of(command):
                worker.send_signal(signal.SIGKILL)
            ended = command.finish()
        assert ended.code == 1, ended.told()
        assert "All worker processes of the run have ended" in ended.err
        [run] = yard.rows("SELECT * FROM runs")
        assert run["outcome"] == "failed"
        assert yard.one("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0
        states = Counter(row["state"] for row in yard.rows("SELECT state FROM attempts"))
        assert set(states) <= {"succeeded", "unknown", "failed"}
        assert 1 <= states["unknown"] <= 20
        after = yard.run(jobs, "--policy", policy, code=4)
        assert after["jobs"]["unknown"] == states["unknown"]
        assert after["jobs"]["succeeded"] == rows - states["unknown"]
        assert_nothing_is_billed_twice(yard.witness)
    yard.assert_ledger_is_true()


@pytest.mark.slow
def test_a_run_that_is_interrupted_has_its_workers_end_their_calls_and_send_no_more(yard):
    rows = 120
    jobs = many_jobs(yard, rows)
    policy = yard.policy(max_in_flight=10)
    with yard.simulator(SLOW):
        with yard.start("run", jobs, "--policy", policy, *PROCESSES) as command:
            command.until(lambda: yard.called()[1] >= 25, "requests")
            workers = workers_of(command)
            command.signal(signal.SIGTERM)
            ended = command.finish()
        assert ended.code == 143, ended.told()
        assert yard.called()[1] < rows
        assert not [worker for worker in workers if worker.is_running()]
        states = Counter(row["state"] for row in yard.rows("SELECT state FROM attempts"))
        # the calls in flight brought their answers
        assert set(states) == {"succeeded", "failed"}
        assert states["succeeded"] == len(yard.witness.billed())
        assert yard.one("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0
    yard.assert_ledger_is_true()
