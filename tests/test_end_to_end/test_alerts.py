"""Alerts on a real Prefect server: a run ends, and a webhook hears of it."""

import sqlite3

import pytest

from tests.hooks import hook
from tests.processes import until

pytestmark = pytest.mark.prefect


@pytest.fixture
def heard(yard):
    """A webhook that the alerts of the session's server go to; nothing is left of them."""
    with hook() as listening:
        yard.weighbridge("alerts", "apply", "--webhook", f"{listening.url}/secret-path")
        yield listening
        yard.weighbridge("alerts", "apply", "--remove")


def rows(number):
    return [
        {"job_id": f"job-{n}", "prompt": f"{n} go [[output_tokens=30]]", "max_tokens": 30}
        for n in range(number)
    ]


def test_a_budget_stop_and_a_failure_are_heard_of_and_a_complete_night_is_not(yard, heard):
    with yard.simulator():
        yard.run(yard.jobs(rows(2)))
        stopped = yard.run(yard.jobs(rows(20), "many.parquet"), "--run-budget-usd", "0.0002", code=3)
        bad = [{**rows(1)[0], "params": '{"temperature": 0.5}'}]
        incomplete = yard.run(yard.jobs(bad, "bad.parquet"), code=4)
    until(lambda: len(heard.came) >= 2, "two notifications")
    [about_stop] = heard.about("weighbridge: budget stop")
    assert about_stop.startswith(f"{stopped_name(about_stop)}: BudgetStop\n{stopped['run_id']}: ")
    assert "many.parquet" in about_stop
    assert "deferred for want of money" in about_stop
    assert f"{stopped['prefect_flow_run_id']}" in about_stop
    [about_failure] = heard.about("weighbridge: failure")
    assert f"Incomplete\n{incomplete['run_id']}: " in about_failure
    assert {path for path, _ in heard.came} == {"/secret-path"}


def stopped_name(body):
    return body.partition(": BudgetStop")[0]


def test_a_run_announces_reviews_that_wait_for_long_and_a_cap_that_will_be_reached(yard, heard):
    policy = yard.policy()
    with (yard.folder / policy).open("a") as file:
        file.write('\n[month]\nbudget_usd = "5"\n\n[alerts]\nreview_days = 2\n')
    with yard.simulator():
        yard.run(yard.jobs([{**rows(1)[0], "max_input_tokens": 1}, *rows(3)[1:]]), "--policy", policy)
        with sqlite3.connect(yard.ledger.removeprefix("sqlite:///")) as ledger:
            ledger.execute("UPDATE reviews SET created_at = datetime(created_at, '-3 days')")
            # the day cost more than the month may: what is held and settled in the month is another row
            ledger.execute("UPDATE budgets SET settled_nano_usd = 6000000000 WHERE scope = 'day'")
        second = yard.run(yard.jobs(rows(5)[3:], "second.parquet"), "--policy", policy)
    until(lambda: len(heard.came) >= 2, "two notifications")
    [about_reviews] = heard.about("weighbridge: old reviews")
    assert about_reviews.startswith(
        f"{second['run_id']}: (simulated) 1 job waits for a person for more than 2 days"
    )
    assert about_reviews.endswith(f"\n{second['prefect_flow_run_id']}")
    [about_cap] = heard.about("weighbridge: cap in sight")
    assert "of the budget of $5.00 are settled" in about_cap
    shown = yard.weighbridge("report", "--ledger", yard.ledger)
    assert "of the budget of $5.00 are settled" in shown.out
