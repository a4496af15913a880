"""A run whose answers are due, with the real command and the real simulator: its log says that each job was paid for
once, at half price where a batch answered it and at full price where none did, whatever was killed in between."""

import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from tests.yards import nano, open_yard

pytestmark = pytest.mark.prefect

ROWS = 40
#: batches that end on no account before they are stopped, and then with some of their answers
ENDLESS = "[batches]\nprocessing_seconds = 3600\ncancel_completes_probability = 0.3\n"


def many_jobs(yard):
    rows = [
        {"job_id": f"job-{n}", "prompt": f"number {n}[[output_tokens={5 + n % 40}]]", "max_tokens": 100 + n}
        for n in range(ROWS)
    ]
    return yard.jobs(rows)


def deadline_policy(yard, name="policy.toml", budget="5", lead=0, **values):
    """The yard's policy with a budget for a deadline; by default its last instant is at risk, and nothing before."""
    yard.policy(name, **values)
    rules = (
        f"[batch]\nmax_requests = 20\npoll_seconds = 0.3\ndeadline_lead_minutes = {lead}\n"
        f'deadline_budget_usd = "{budget}"\n'
    )
    (yard.folder / name).write_text((yard.folder / name).read_text() + rules)
    return name


def due_in(seconds):
    """A time of day so many seconds from now, in UTC."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%H:%M:%S}"


@pytest.fixture(scope="module")
def seconds(tmp_path_factory, prefect_api, warm):
    """Within which this machine surely has a run's batches made, however slow it is: it shows by a run of one job."""
    yard = open_yard(tmp_path_factory.mktemp("trial"), prefect_api, warm)
    with yard.simulator():
        began = time.monotonic()
        yard.run(
            yard.jobs([{"job_id": "one", "prompt": "hello", "max_tokens": 9}]), "--policy", yard.policy()
        )
        return 10 + 4 * (time.monotonic() - began)


def options(policy, seconds):
    return ("--mode", "batches", "--policy", policy, "--deadline", due_in(seconds))


def at_risk_at_once(yard, **values):
    """What a run is started with whose answers are at risk from its beginning."""
    return options(deadline_policy(yard, "at_once.toml", lead=600, **values), 3600)


def assert_paid_once(yard, simulator):
    """Each payload billed at most once, at the price of its way; attempts, windows and log agree."""
    billed = simulator.billed()
    assert set(Counter(line["payload_sha256"] for line in billed).values()) <= {1}
    paid = {
        row["attempt_id"] if row["batch_id"] else row["request_id"]: row
        for row in yard.rows("SELECT * FROM attempts WHERE state = 'succeeded'")
    }
    lines = {line.get("custom_id", line["request_id"]): line for line in billed}
    assert paid.keys() <= lines.keys()
    for key, attempt in paid.items():
        line = lines[key]
        assert attempt["actual_nano_usd"] == line["cost_nano_usd"] <= attempt["worst_case_nano_usd"]
        assert (attempt["deadline"] is not None) == (line["endpoint"] == "messages")
        assert line["usage"]["service_tier"] == ("standard" if attempt["deadline"] else "batch")
    yard.assert_budgets_add_up()
    yard.assert_ledger_is_true()
    return billed, paid


def at_full_price(billed):
    return [line for line in billed if line["endpoint"] == "messages"]


def test_what_no_batch_has_answered_when_it_is_due_is_paid_for_once_at_full_price(yard, seconds):
    jobs, policy = many_jobs(yard), deadline_policy(yard)
    with yard.simulator(ENDLESS) as simulator:
        report = yard.run(jobs, *options(policy, seconds))
        yard.assert_accounted(report, ROWS)
        assert (report["outcome"], report["jobs"]["succeeded"], report["batches"]) == ("complete", ROWS, 2)
        billed, paid = assert_paid_once(yard, simulator)
        items = simulator.stats()["batch_items"]
        full = at_full_price(billed)
        assert (len(billed), len(paid), len(full)) == (ROWS, ROWS, items["canceled"])
        assert min(items["succeeded"], items["canceled"]) > 0
        assert report["deadline"]["jobs"] == len(full)
        assert nano(report["deadline"]["usd"]) == sum(line["cost_nano_usd"] for line in full)
        assert report["bought_nothing"] == []
        yard.assert_agreement(report, billed)
    [run] = yard.rows("SELECT deadline_at FROM runs")
    assert run["deadline_at"][:19].replace(" ", "T") == report["deadline"]["due"][:19]


def test_the_deadlines_own_budget_holds_and_the_next_run_sends_what_did_not_fit(yard, seconds):
    jobs, policy = many_jobs(yard), deadline_policy(yard, budget="0.0002")
    with yard.simulator(ENDLESS) as simulator:
        report = yard.run(jobs, *options(policy, seconds), code=3)
        yard.assert_accounted(report, ROWS)
        before, _ = assert_paid_once(yard, simulator)
        full = at_full_price(before)
        assert 0 < sum(line["cost_nano_usd"] for line in full) <= nano("0.0002")
        deferred = report["jobs"]["deferred"]
        assert len(full) + deferred == simulator.stats()["batch_items"]["canceled"]
        assert {reason["reason"] for reason in report["reasons"]} == {"deadline_budget"}
        again = yard.run(jobs, "--policy", policy)
        assert (again["jobs"]["succeeded"], again["from_earlier_runs"]) == (ROWS, ROWS - deferred)
        billed = simulator.billed()
        assert set(Counter(line["payload_sha256"] for line in billed).values()) == {1}
        assert len(billed) == ROWS


def test_a_run_that_is_killed_between_stopping_its_batches_and_their_end_pays_nothing_twice(yard, seconds):
    jobs, policy = many_jobs(yard), deadline_policy(yard)
    with yard.simulator(ENDLESS + "cancel_seconds = 6\n") as simulator:
        with yard.start("run", jobs, "--json", *options(policy, seconds)) as command:
            command.until(
                lambda: simulator.stats()["received"].get("batches_cancel", 0) >= 2,
                "two batches that are asked to stop",
            )
            command.signal(signal.SIGKILL)
            assert command.finish().code == -signal.SIGKILL
        assert simulator.billed() == []
        report = yard.run(jobs, *at_risk_at_once(yard))
        yard.assert_accounted(report, ROWS)
        assert report["jobs"]["succeeded"] == ROWS
        billed, paid = assert_paid_once(yard, simulator)
        items = simulator.stats()["batch_items"]
        assert (len(billed), len(paid), len(at_full_price(billed))) == (ROWS, ROWS, items["canceled"])
        assert simulator.stats()["batches"] == 2
        assert yard.one("SELECT count(*) FROM attempts WHERE held_nano_usd <> 0") == 0


def test_a_run_that_is_killed_while_it_sends_at_full_price_pays_nothing_twice(yard, seconds):
    jobs, policy = many_jobs(yard), deadline_policy(yard, max_in_flight=4)
    slow = "[latency]\nmessage_seconds = 0.5\n"
    with yard.simulator(slow + ENDLESS) as simulator:
        with yard.start("run", jobs, "--json", *options(policy, seconds)) as command:
            command.until(lambda: len(at_full_price(simulator.billed())) >= 6, "messages")
            command.signal(signal.SIGKILL)
            assert command.finish().code == -signal.SIGKILL
        report = yard.run(jobs, *at_risk_at_once(yard), code=4)
        yard.assert_accounted(report, ROWS)
        billed, paid = assert_paid_once(yard, simulator)
        # what was on its way is a person's to decide about: it may have been billed
        assert report["jobs"]["unknown"] <= 4
        assert report["jobs"]["succeeded"] == len(paid) == ROWS - report["jobs"]["unknown"]
        unknown = yard.rows("SELECT * FROM attempts WHERE state = 'unknown'")
        assert len(unknown) == report["jobs"]["unknown"] >= len(billed) - len(paid)
        assert all(row["deadline"] and row["held_nano_usd"] for row in unknown)


def test_a_deadline_is_refused_without_its_budget_and_in_messages_mode(yard):
    jobs, policy = many_jobs(yard), deadline_policy(yard)
    bare = yard.policy("bare.toml")
    with yard.simulator(ENDLESS) as simulator:
        for asked, why in (
            (("--mode", "batches", "--policy", bare, "--deadline", "06:30"), "deadline_budget_usd"),
            (("--mode", "batches", "--policy", policy, "--deadline", "half past six"), "like 06:30"),
            (("--policy", policy, "--deadline", "06:30"), "--mode batches"),
        ):
            ended = yard.weighbridge("run", jobs, *asked)
            assert ended.code == 2, ended.told()
            assert why in ended.sentence
        assert simulator.stats()["received"].get("count_tokens", 0) == 0


def test_a_quote_names_both_prices(yard):
    jobs, policy = many_jobs(yard), deadline_policy(yard)
    with yard.simulator(ENDLESS) as simulator:
        ended = yard.weighbridge("quote", jobs, "--json", *options(policy, 3600))
        assert ended.code == 0, ended.told()
        figures = ended.json["deadline"]
        in_time, at_deadline = figures["in_time"], figures["all_at_deadline"]
        assert in_time["expected_usd"] == ended.json["policies"][0]["expected_usd"]
        assert 0 <= 2 * nano(in_time["worst_usd"]) - nano(at_deadline["worst_usd"]) <= ROWS
        assert (in_time["jobs"], at_deadline["jobs"], figures["covered"]) == (ROWS, ROWS, True)
        shown = yard.weighbridge("quote", jobs, *options(policy, 3600))
        assert "The answers are due at" in shown.out
        assert "If all jobs had to go out at full price" in shown.out
        assert simulator.billed() == []
