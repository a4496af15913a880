"""A run that is killed, interrupted, or meets another one: nothing lost, nothing paid twice, no money forgotten."""

import signal
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.processes import clean_environment, fetch, prefect_server
from tests.yards import Yard, open_yard

pytestmark = pytest.mark.prefect

ROWS = 90
SLOW = "[latency]\nmessage_seconds = 1.0\n"
FORKED, FROM_FILE = Yard.start, Yard.start_from_file
HOW = {FORKED: "forked", FROM_FILE: "from its file"}.get


def many_jobs(yard):
    return yard.jobs(
        [
            {"job_id": f"job-{number}", "prompt": f"number {number} [[output_tokens={5 + number % 40}]]"}
            for number in range(ROWS)
        ]
    )


def interrupted(yard, signal_number, start):
    """Start a run, and end it with a signal while some of its jobs are answered and some are in flight."""
    jobs = many_jobs(yard)
    policy = yard.policy(max_in_flight=25)
    with start(yard, "run", jobs, "--json", "--policy", policy) as command:
        command.until(lambda: yard.called()[1] >= 35, "requests")
        command.signal(signal_number)
        return jobs, policy, command.finish()


def assert_books_are_closed(yard, run_id):
    """Every row of an interrupted run has an outcome; what was in flight is unknown and keeps its hold."""
    [run] = yard.rows("SELECT * FROM runs WHERE run_id = ?", run_id)
    assert run["outcome"] == "failed"
    assert run["ended_at"]
    assert yard.one("SELECT count(*) FROM jobs WHERE run_id = ? AND outcome IS NULL", run_id) == 0
    assert yard.one("SELECT count(*) FROM jobs WHERE run_id = ?", run_id) == ROWS
    attempts = yard.rows("SELECT * FROM attempts WHERE run_id = ?", run_id)
    assert {row["state"] for row in attempts} <= {"succeeded", "unknown", "failed"}
    for row in attempts:
        assert row["held_nano_usd"] == (row["worst_case_nano_usd"] if row["state"] == "unknown" else 0)
        assert row["sent_at"] or row["state"] == "failed"
    unknown = {row["job_id"] for row in attempts if row["state"] == "unknown"}
    waiting = yard.rows("SELECT job_id, status FROM reviews WHERE reason = 'unknown_outcome'")
    assert {row["job_id"] for row in waiting} == unknown
    yard.assert_budgets_add_up()
    return unknown


def assert_the_next_run_finishes(yard, jobs, policy, died, simulator, code=4):
    """Run again: the rest is sent, what was in flight waits for a person, and nothing is billed twice."""
    report = yard.run(jobs, "--policy", policy, code=code)
    yard.assert_accounted(report, ROWS)
    unknown = assert_books_are_closed(yard, died)
    assert bool(unknown) == (code == 4)
    assert report["jobs"]["unknown"] == len(unknown)
    assert report["jobs"]["succeeded"] == ROWS - len(unknown)
    assert len(yard.results(report)) == report["jobs"]["succeeded"]
    billed = simulator.billed()
    assert set(Counter(line["payload_sha256"] for line in billed).values()) == {1}
    paid = yard.rows("SELECT * FROM attempts WHERE state = 'succeeded'")
    known = {row["request_id"] for row in paid}
    lost = [line for line in billed if line["request_id"] not in known]
    assert len(lost) <= len(unknown)
    costs = {line["request_id"]: line["cost_nano_usd"] for line in billed}
    assert all(row["actual_nano_usd"] == costs[row["request_id"]] for row in paid)
    # what is held covers what was billed without an answer reaching us
    held = yard.one("SELECT sum(held_nano_usd) FROM attempts")
    assert held >= sum(line["cost_nano_usd"] for line in lost)
    return report


@pytest.mark.parametrize("start", [FORKED, pytest.param(FROM_FILE, marks=pytest.mark.slow)], ids=HOW)
def test_after_a_kill_in_the_middle_of_sending_the_next_run_finishes_and_pays_nothing_twice(yard, start):
    with yard.simulator(SLOW) as simulator:
        jobs, policy, ended = interrupted(yard, signal.SIGKILL, start)
        assert ended.code == -signal.SIGKILL
        [run] = yard.rows("SELECT * FROM runs")
        assert run["ended_at"] is None
        shown = f"{yard.api}/flow_runs/{run['prefect_flow_run_id']}"
        assert fetch(shown)["state_type"] == "RUNNING"
        assert_the_next_run_finishes(yard, jobs, policy, run["run_id"], simulator)
    assert fetch(shown)["state_type"] == "CRASHED"
    of_run = {"flow_runs": {"id": {"any_": [run["prefect_flow_run_id"]]}}, "limit": 200}
    assert {"COMPLETED", "CRASHED"} >= {
        task_run["state_type"] for task_run in fetch(f"{yard.api}/task_runs/filter", of_run)
    }
    assert "another one has closed its books" in fetch(shown)["state"]["message"].casefold()


@pytest.mark.parametrize(
    ("signal_number", "start"),
    [
        pytest.param(signal.SIGINT, FROM_FILE, id="ctrl-c, from its file", marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, FORKED, id="sigterm, forked"),
        pytest.param(signal.SIGTERM, FROM_FILE, id="sigterm, from its file", marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_run_says_so_in_a_sentence_and_closes_its_books(yard, signal_number, start):
    with yard.simulator(SLOW) as simulator:
        jobs, policy, ended = interrupted(yard, signal_number, start)
        [run] = yard.rows("SELECT * FROM runs")
        # the calls in flight have a while to end: only one that brought no answer is in doubt
        unknown = assert_books_are_closed(yard, run["run_id"])
        assert_the_next_run_finishes(yard, jobs, policy, run["run_id"], simulator, code=4 if unknown else 0)
    assert ended.code == 128 + signal_number, ended.told()
    shown = {
        "artifacts": {"flow_run_id": {"any_": [run["prefect_flow_run_id"]]}, "type": {"any_": ["markdown"]}}
    }
    [report] = fetch(f"{yard.api}/artifacts/filter", shown)
    assert report["data"].startswith(f"# {run['run_id']}: failed")
    assert "Traceback" not in ended.err, ended.told()
    assert "interrupted" in ended.err.splitlines()[-1], ended.told()


def test_a_run_killed_while_counting_leaves_the_next_one_everything(yard):
    jobs = many_jobs(yard)
    with yard.simulator("[latency]\ncount_seconds = 1.0\n") as simulator:
        with yard.start("run", jobs, "--policy", yard.policy(max_in_flight=25)) as command:
            command.until(lambda: yard.called()[0] >= 30, "counts")
            command.signal(signal.SIGKILL)
            assert command.finish().code == -signal.SIGKILL
        assert simulator.billed() == []
    with yard.simulator() as simulator:
        report = yard.run(jobs)
        yard.assert_accounted(report, ROWS)
        assert report["jobs"]["succeeded"] == ROWS
        yard.assert_agreement(report, simulator.billed())
    assert yard.one("SELECT count(*) FROM runs WHERE outcome = 'failed' AND ended_at IS NOT NULL") == 1
    assert yard.one("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0


@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_two_runs_at_the_same_time_pay_nothing_twice_and_each_accounts_for_every_row(yard, engine, request):
    if engine == "postgresql":
        yard.ledger = request.getfixturevalue("postgres_url")
    jobs = many_jobs(yard)
    policy = yard.policy(max_in_flight=10)
    options = ("run", jobs, "--json", "--policy", policy, "--ledger", yard.ledger)
    with yard.simulator("[latency]\nmessage_seconds = 0.1\n") as simulator:
        ended = [command.finish() for command in [yard.start(*options), yard.start(*options)]]
        for end in ended:
            assert end.code in (0, 4), end.told()
            yard.assert_accounted(end.json, ROWS)
            others = [reason["reason"] for reason in end.json["reasons"]]
            assert others in ([], ["in_flight_elsewhere"])
        paid = yard.one(
            "SELECT count(*) FROM attempts WHERE state = 'succeeded' AND run_id IN (?, ?)",
            *(end.json["run_id"] for end in ended),
        )
        assert paid == ROWS
        assert set(Counter(line["payload_sha256"] for line in simulator.billed()).values()) == {1}
        assert len(simulator.billed()) == ROWS
        calls = yard.called()
        report = yard.run(jobs, "--policy", policy)
        assert report["jobs"]["succeeded"] == len(yard.results(report)) == ROWS
        assert yard.called() == calls
    yard.assert_budgets_add_up()


@pytest.mark.slow
def test_a_prefect_server_that_goes_away_in_mid_run_costs_neither_the_answers_nor_the_report(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "yard"
    home.mkdir()
    folder.mkdir()
    with ExitStack() as stack:
        with prefect_server(home, clean_environment(home)) as api:
            yard = open_yard(folder, api)
            simulator = stack.enter_context(yard.simulator(SLOW))
            jobs, policy = many_jobs(yard), yard.policy(max_in_flight=25)
            command = yard.start("run", jobs, "--policy", policy, PREFECT_CLIENT_MAX_RETRIES="1")
            command.until(lambda: yard.called()[1] >= 35, "requests")
        ended = command.finish()
        assert ended.code == 1, ended.told()
        assert "The Prefect server at" in ended.err.splitlines()[-1], ended.told()
        assert "Traceback" not in ended.err, ended.told()
        [run] = yard.rows("SELECT * FROM runs")
        assert run["ended_at"]
        paid = yard.one("SELECT count(*) FROM attempts WHERE state = 'succeeded'")
        assert paid == len(simulator.billed()) >= 35
        assert len(yard.results({"places": {"results": run["results_path"]}})) == paid
        yard.assert_budgets_add_up()
