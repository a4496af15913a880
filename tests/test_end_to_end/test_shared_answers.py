"""Identical requests with the real command: the simulator's log is the witness of what was paid."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.processes import until
from tests.yards import nano

pytestmark = pytest.mark.prefect

ROWS = 60
#: one row in three repeats an earlier one
DISTINCT = 40
QUICK = "[batches]\nprocessing_seconds = 0.5\n"
SLOW = "[latency]\nmessage_seconds = 1.0\n[batches]\nprocessing_seconds = 15\n"


def repeating_jobs(yard, rows=ROWS):
    return yard.jobs(
        [
            {
                "job_id": f"job-{number}",
                "prompt": f"number {number % DISTINCT} [[output_tokens={5 + number % DISTINCT}]]",
                "priority": number % 3,
                "group": ("red", "blue", None)[number % 3],
            }
            for number in range(rows)
        ]
    )


def policy(yard, rules="", **values):
    """The yard's policy with more rules for a run, and for batches."""
    name = yard.policy(**values)
    text = (yard.folder / name).read_text()
    batches = "[batch]\nmax_requests = 20\npoll_seconds = 0.3\nabsent_after_seconds = 3\n"
    (yard.folder / name).write_text(text.replace("[run]\n", f"[run]\n{rules}\n") + batches)
    return name


def assert_each_payload_was_paid_once(yard, simulator, distinct=DISTINCT):
    billed = simulator.billed()
    assert set(Counter(line["payload_sha256"] for line in billed).values()) == {1}
    assert len(billed) == distinct
    paid = yard.one("SELECT sum(actual_nano_usd) FROM attempts")
    assert paid == sum(line["cost_nano_usd"] for line in billed)
    yard.assert_ledger_is_true()
    return paid


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_each_distinct_payload_is_paid_once_and_every_id_has_its_answer(yard, mode):
    jobs, rules = repeating_jobs(yard), policy(yard)
    options = ("--policy", rules, "--mode", mode)
    with yard.simulator(QUICK) as simulator:
        ended = yard.weighbridge("quote", jobs, "--json", *options)
        assert ended.code == 0, ended.told()
        quote = ended.json
        report = yard.run(jobs, *options)
        paid = assert_each_payload_was_paid_once(yard, simulator)
        yard.assert_accounted(report, ROWS)
        assert (quote["jobs"]["priced"], quote["jobs"]["shared"], quote["jobs"]["read"]) == (
            DISTINCT,
            ROWS - DISTINCT,
            ROWS,
        )
        assert quote["calls"]["count"] == yard.called()[0]
        assert report["calls"]["count"] == 0
        assert (report["jobs"]["succeeded"], report["shared"]["jobs"]) == (ROWS, ROWS - DISTINCT)
        results = yard.results(report)
        assert {row["job_id"] for row in results} == {f"job-{number}" for number in range(ROWS)}
        assert sum(nano(row["cost_usd"]) for row in results) == paid == nano(report["usd"]["actual"])
        by_attempt = {row["attempt_id"]: nano(row["cost_usd"]) for row in results if row["cost_usd"]}
        saved = sum(by_attempt[row["attempt_id"]] for row in results if not row["cost_usd"])
        assert nano(report["shared"]["saved_usd"]) == saved > 0
        assert "shared answers" in (Path(report["places"]["results"]) / "report.md").read_text()
        for row in results:
            number = int(row["job_id"].removeprefix("job-"))
            assert row["output_tokens"] == 5 + number % DISTINCT

        # a longer file, with new ids for the same requests: nothing is counted or paid
        calls = yard.called()
        later = yard.run(repeating_jobs(yard, 2 * ROWS), *options)
        assert (later["jobs"]["succeeded"], yard.called()) == (2 * ROWS, calls)
        assert later["from_earlier_runs"] == 2 * ROWS
        assert (
            sum(
                nano(row["cost_usd"]) for row in yard.results(later) if row["paid_in_run"] != report["run_id"]
            )
            == 0
        )
        assert_each_payload_was_paid_once(yard, simulator)


def test_who_samples_turns_it_off_and_pays_for_each(yard):
    with yard.simulator() as simulator:
        report = yard.run(repeating_jobs(yard), "--policy", policy(yard, "share_answers = false"))
        assert len(simulator.billed()) == ROWS == report["jobs"]["succeeded"]
        assert (report["shared"]["jobs"], nano(report["shared"]["saved_usd"])) == (0, 0)
    yard.assert_ledger_is_true()


def test_a_split_cost_is_borne_by_each_group_to_the_nano_dollar(yard):
    with yard.simulator() as simulator:
        report = yard.run(repeating_jobs(yard), "--policy", policy(yard, 'pays = "split"'))
        paid = assert_each_payload_was_paid_once(yard, simulator)
    results = {row["job_id"]: nano(row["cost_usd"]) for row in yard.results(report)}
    assert sum(results.values()) == paid
    query = "SELECT group_name, settled_nano_usd FROM budgets WHERE period = ?"
    settled = {row["group_name"]: row["settled_nano_usd"] for row in yard.rows(query, report["run_id"])}
    for place, group in enumerate(("red", "blue")):
        assert settled[group] == sum(results[f"job-{n}"] for n in range(ROWS) if n % 3 == place)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_kill_in_mid_run_nothing_is_paid_twice_and_every_row_has_its_end(yard, number):
    jobs, rules = repeating_jobs(yard), policy(yard, max_in_flight=10)
    with yard.simulator(SLOW) as simulator:
        with yard.start("run", jobs, "--json", "--policy", rules) as command:
            command.until(lambda: yard.called()[1] >= 15, "requests")
            command.signal(number)
            command.finish()
        report = yard.run(jobs, "--policy", rules, code=4 if yard_in_doubt(yard, number) else 0)
        yard.assert_accounted(report, ROWS)
        billed = simulator.billed()
        assert set(Counter(line["payload_sha256"] for line in billed).values()) == {1}
        assert len(billed) <= DISTINCT
        assert yard.one("SELECT count(*) FROM jobs WHERE outcome IS NULL") == 0
        # whoever shares with a job in doubt is in doubt with it, and a person is asked once
        unknown = yard.rows("SELECT job_id FROM attempts WHERE state = 'unknown'")
        assert report["jobs"]["succeeded"] + report["jobs"]["unknown"] == ROWS
        assert yard.one("SELECT count(*) FROM reviews") == len(unknown)
        doubtful = [row for row in yard.jobs_of(report).values() if row["outcome"] == "unknown"]
        assert {row["job_id"] for row in doubtful if row["shares_with_row"] is None} == {
            row["job_id"] for row in unknown
        }
        assert len(yard.results(report)) == report["jobs"]["succeeded"]
        yard.assert_ledger_is_true()

        # a person approves what is in doubt: then all rows are answered
        if unknown:
            listed = [str(row["id"]) for row in yard.rows("SELECT id FROM reviews")]
            ended = yard.weighbridge("review", "approve", *listed, "--by", "ana", "--yes")
            assert ended.code == 0, ended.told()
        report = yard.run(jobs, "--policy", rules, "--resubmit-approved")
        assert report["jobs"]["succeeded"] == ROWS == len(yard.results(report))
        yard.assert_ledger_is_true()


def yard_in_doubt(yard, number):
    """Whether a run that ended so left something in flight: SIGTERM gives the calls time to end."""
    return number == signal.SIGKILL or bool(
        yard.rows("SELECT attempt_id FROM attempts WHERE state = 'unknown'")
    )


def test_batches_that_a_killed_run_left_answer_all_that_share_them(yard):
    jobs, rules = repeating_jobs(yard), policy(yard)
    options = ("run", jobs, "--json", "--mode", "batches", "--policy", rules)
    with yard.simulator(SLOW.replace("15", "4")) as simulator:
        with yard.start(*options) as command:
            made = "SELECT count(*) FROM batches WHERE provider_batch_id IS NOT NULL"
            until(lambda: yard.witness.stats()["batches"] >= 2 and yard.one(made) >= 2, "batches")
            command.signal(signal.SIGKILL)
            command.finish()
        died = yard.one("SELECT run_id FROM runs")

        def is_collected():
            ended = yard.weighbridge("collect")
            return ended.code == 0 and yard.one("SELECT ended_at FROM runs WHERE run_id = ?", died)

        until(is_collected, "the batches to end")
        outcomes = yard.rows("SELECT outcome FROM jobs WHERE run_id = ?", died)
        assert Counter(row["outcome"] for row in outcomes) == {"succeeded": ROWS}
        assert_each_payload_was_paid_once(yard, simulator)
