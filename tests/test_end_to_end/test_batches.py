"""Batches mode with the real command and the real simulator: half the price, every row accounted for, nothing paid
twice, whatever was killed."""

import json
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.processes import fetch
from tests.strategies import quick_ledger
from tests.yards import nano

pytestmark = pytest.mark.prefect

ROOT = Path(__file__).resolve().parents[2]
ROWS = 60
QUICK = "[batches]\nprocessing_seconds = 0.5\n"
#: long enough to be killed in, short enough to be waited for
SLOW = "[batches]\nprocessing_seconds = 15\n"
ENDLESS = "[batches]\nprocessing_seconds = 3600\n"


def many_jobs(yard, rows=ROWS):
    return yard.jobs(
        [
            {
                "job_id": f"job-{number}",
                "prompt": f"number {number} {'weigh ' * (number % 7)}[[output_tokens={5 + number % 40}]]",
                "max_tokens": 100 + number,
            }
            for number in range(rows)
        ]
    )


def batch_policy(yard, max_requests=20, **values):
    """The yard's policy, for batches that are looked at often."""
    name = yard.policy(**values)
    rules = f"[batch]\nmax_requests = {max_requests}\npoll_seconds = 0.3\nabsent_after_seconds = 3\n"
    (yard.folder / name).write_text((yard.folder / name).read_text() + rules)
    return name


def options(yard, jobs, policy):
    return ("run", jobs, "--json", "--mode", "batches", "--policy", policy, "--ledger", yard.ledger)


def assert_log_and_ledger_agree(yard, simulator):
    """Each payload billed at most once; each bill is the cost of its attempt; the budgets are the sums."""
    billed = simulator.billed()
    assert set(Counter(line["payload_sha256"] for line in billed).values()) <= {1}
    paid = {row["attempt_id"]: row for row in yard.rows("SELECT * FROM attempts WHERE state = 'succeeded'")}
    assert {line["custom_id"] for line in billed} == set(paid)
    for line in billed:
        attempt = paid[line["custom_id"]]
        assert attempt["actual_nano_usd"] == line["cost_nano_usd"] <= attempt["worst_case_nano_usd"]
        assert attempt["model"] == line["model"]
        assert attempt["actual_output_tokens"] == line["usage"]["output_tokens"]
    assert yard.one("SELECT count(*) FROM attempts WHERE state IN ('open', 'unknown')") == 0
    assert yard.one("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0
    assert yard.one("SELECT count(*) FROM attempts WHERE held_nano_usd <> 0") == 0
    yard.assert_budgets_add_up()
    return billed


def assert_report_agrees(yard, report, billed):
    """The report of a run that paid for all that was billed."""
    assert nano(report["usd"]["actual"]) == sum(line["cost_nano_usd"] for line in billed)
    assert nano(report["usd"]["held"]) == 0
    assert report["tokens"]["actual_output"] == sum(line["usage"]["output_tokens"] for line in billed)
    results = yard.results(report)
    assert len(results) == report["jobs"]["succeeded"]
    assert sum(nano(row["cost_usd"]) for row in results) == sum(l["cost_nano_usd"] for l in billed)
    written = json.loads((Path(report["places"]["results"]) / "report.json").read_text())
    assert written == report


def killed_with_batches_out(yard, jobs, policy, batches):
    """A run killed once the provider has so many batches of it; the run on record."""
    with yard.start(*options(yard, jobs, policy)) as command:
        made = "SELECT count(*) FROM batches WHERE provider_batch_id IS NOT NULL"
        command.until(
            lambda: yard.witness.stats()["batches"] >= batches and yard.one(made) >= batches, "batches"
        )
        command.signal(signal.SIGKILL)
        assert command.finish().code == -signal.SIGKILL
    assert yard.witness.billed() == []
    [run] = yard.rows("SELECT * FROM runs")
    assert run["ended_at"] is None
    return run["run_id"]


def test_a_night_in_batches_costs_half_and_everything_agrees(yard):
    jobs = many_jobs(yard)
    policy = batch_policy(yard)
    with yard.simulator(QUICK) as simulator:
        full = yard.run(
            jobs, "--policy", policy, "--mode", "messages", WEIGHBRIDGE_LEDGER="sqlite:///other.db"
        )
        dear = {line["payload_sha256"]: line["cost_nano_usd"] for line in simulator.billed()}
        assert len(dear) == ROWS == full["jobs"]["succeeded"]
        assert (full["calls"]["batch_create"], full["batches"]) == (0, 0)
        simulator.log.write_text("")
    with yard.simulator(QUICK) as simulator:
        report = yard.run(jobs, "--policy", policy, "--mode", "batches")
        billed = assert_log_and_ledger_agree(yard, simulator)
        yard.assert_accounted(report, ROWS)
        assert (report["outcome"], report["jobs"]["succeeded"], report["mode"]) == (
            "complete",
            ROWS,
            "batches",
        )
        assert (report["calls"]["batch_create"], report["batches"], report["calls"]["message"]) == (3, 3, 0)
        assert simulator.stats()["batches"] == 3
        assert {line["endpoint"] for line in billed} == {"batches"}
        for line in billed:
            assert line["cost_nano_usd"] == -(-dear[line["payload_sha256"]] // 2)
        halves, fulls = (nano(one["usd"]["actual"]) for one in (report, full))
        assert 0 <= 2 * halves - fulls <= ROWS
        assert_report_agrees(yard, report, billed)


@pytest.mark.slow
def test_after_a_kill_the_next_run_waits_for_the_batches_and_makes_none_again(yard):
    jobs, policy = many_jobs(yard), batch_policy(yard)
    with yard.simulator(SLOW) as simulator:
        died = killed_with_batches_out(yard, jobs, policy, 3)
        report = yard.run(jobs, "--policy", policy, "--mode", "batches")
        yard.assert_accounted(report, ROWS)
        assert report["jobs"]["succeeded"] == ROWS
        assert simulator.stats()["batches"] == 3
        assert (report["calls"]["batch_create"], report["batches"]) == (0, 0)
        billed = assert_log_and_ledger_agree(yard, simulator)
        assert len(billed) == ROWS
        assert len(yard.results(report)) == ROWS
    [run] = yard.rows("SELECT * FROM runs WHERE run_id = ?", died)
    assert run["ended_at"]
    outcomes = yard.rows("SELECT outcome, count(*) AS n FROM jobs WHERE run_id = ? GROUP BY outcome", died)
    assert outcomes == [{"outcome": "succeeded", "n": ROWS}]


def test_after_a_kill_collect_finishes_the_dead_run_itself(yard):
    jobs, policy = many_jobs(yard), batch_policy(yard)
    with yard.simulator(SLOW) as simulator:
        died = killed_with_batches_out(yard, jobs, policy, 3)
        early = yard.weighbridge("collect", "--json")
        assert early.code == 0, early.told()
        assert early.json == {"runs": [], "batches_still_out": 3, "batches_elsewhere": 0}
        ended = yard.weighbridge("collect", "--wait", "--json")
        assert ended.code == 0, ended.told()
        assert ended.json["batches_still_out"] == 0
        [report] = ended.json["runs"]
        assert (report["run_id"], report["jobs"]["succeeded"], report["batches"]) == (died, ROWS, 3)
        yard.assert_accounted(report, ROWS)
        assert simulator.stats()["batches"] == 3
        billed = assert_log_and_ledger_agree(yard, simulator)
        assert len(billed) == ROWS
        assert_report_agrees(yard, report, billed)
        assert (Path(report["places"]["results"]) / "report.md").exists()
    [run] = yard.rows("SELECT * FROM runs")
    assert (run["outcome"], bool(run["ended_at"])) == ("complete", True)


def test_a_canceled_run_bills_what_was_done_and_defers_the_rest(yard):
    jobs, policy = many_jobs(yard), batch_policy(yard)
    with yard.simulator(ENDLESS + "cancel_completes_probability = 0.4\n") as simulator:
        died = killed_with_batches_out(yard, jobs, policy, 3)
        asked = yard.weighbridge("cancel", died)
        assert asked.code == 0, asked.told()
        assert "3 batch(es)" in asked.out
        ended = yard.weighbridge("collect", "--wait", "--json")
        assert ended.code == 0, ended.told()
        [report] = ended.json["runs"]
        items = simulator.stats()["batch_items"]
        assert min(items["succeeded"], items["canceled"]) > 0
        yard.assert_accounted(report, ROWS)
        assert report["jobs"]["succeeded"] == items["succeeded"]
        assert report["jobs"]["deferred"] == items["canceled"]
        assert [reason["reason"] for reason in report["reasons"]] == ["batch_canceled"]
        billed = assert_log_and_ledger_agree(yard, simulator)
        assert len(billed) == items["succeeded"]
        assert_report_agrees(yard, report, billed)


def test_canceling_an_unknown_run_is_bad_input(yard):
    quick_ledger(yard.ledger).close()
    with yard.simulator(QUICK):
        ended = yard.weighbridge("cancel", "run-of-nobody")
    assert ended.code == 2, ended.told()
    assert "run-of-nobody" in ended.sentence


def test_when_the_money_is_out_the_rest_is_deferred_and_the_next_run_sends_exactly_it(yard):
    jobs, policy = many_jobs(yard), batch_policy(yard)
    with yard.simulator(QUICK) as simulator:
        first = yard.run(jobs, "--policy", policy, "--mode", "batches", "--run-budget-usd", "0.0004", code=3)
        yard.assert_accounted(first, ROWS)
        done, left = first["jobs"]["succeeded"], first["jobs"]["deferred"]
        assert min(done, left) > 0
        assert (first["outcome"], done + left) == ("budget_stop", ROWS)
        assert {reason["reason"] for reason in first["reasons"]} == {"run_budget"}
        before = assert_log_and_ledger_agree(yard, simulator)
        assert sum(line["cost_nano_usd"] for line in before) <= nano("0.0004")
        flow = fetch(f"{yard.api}/flow_runs/{first['prefect_flow_run_id']}")
        assert (flow["state"]["type"], flow["state"]["name"]) == ("FAILED", "BudgetStop")
        second = yard.run(jobs, "--policy", policy, "--mode", "batches")
        assert second["jobs"]["succeeded"] == ROWS
        assert second["from_earlier_runs"] == done
        billed = assert_log_and_ledger_agree(yard, simulator)
        assert len(billed) - len(before) == left
        assert len(yard.results(second)) == ROWS


def test_a_spend_cap_of_the_provider_stops_the_run_at_once(yard):
    jobs, policy = many_jobs(yard), batch_policy(yard)
    cap = '[[faults]]\nendpoint = "batches_create"\nkind = "spend_cap"\nevery_nth = 1\n'
    with yard.simulator(QUICK + cap) as simulator:
        report = yard.run(jobs, "--policy", policy, "--mode", "batches", code=3)
        yard.assert_accounted(report, ROWS)
        assert report["jobs"]["deferred"] == ROWS
        assert {reason["reason"] for reason in report["reasons"]} == {"provider_spend_limit"}
        assert (report["batches"], report["calls"]["retried"]) == (0, 0)
        assert simulator.stats()["batches"] == 0
        # no more than were on their way when the first answer came
        assert simulator.stats()["received"]["batches_create"] <= 3
        assert assert_log_and_ledger_agree(yard, simulator) == []


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_two_runs_at_once_in_batches_mode_pay_nothing_twice(yard, engine, request):
    if engine == "postgresql":
        yard.ledger = request.getfixturevalue("postgres_url")
    jobs, policy = many_jobs(yard), batch_policy(yard)
    with yard.simulator(QUICK) as simulator:
        both = [yard.start(*options(yard, jobs, policy)) for _ in range(2)]
        for end in [command.finish() for command in both]:
            assert end.code in (0, 4), end.told()
            yard.assert_accounted(end.json, ROWS)
            others = {reason["reason"] for reason in end.json["reasons"]}
            assert others <= {"in_flight_elsewhere"}
        billed = assert_log_and_ledger_agree(yard, simulator)
        done = "SELECT count(DISTINCT job_id) FROM jobs WHERE outcome = 'succeeded'"
        assert len(billed) == yard.one(done) == ROWS
