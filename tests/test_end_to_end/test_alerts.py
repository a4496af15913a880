"""Alerts on a real Prefect server: a run ends, and a webhook hears of it."""

import json

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
    until(lambda: len(heard.came) >= 2, "two notifications", seconds=60)
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


def test_applying_again_changes_nothing_and_says_no_secret(yard, heard):
    again = yard.weighbridge("alerts", "apply", "--webhook", f"{heard.url}/secret-path")
    assert again.stdout == "3 alerts are there already, as they should be.\n"
    listed = json.loads(yard.weighbridge("alerts", "list", "--json").stdout)
    assert all(one["on"] for one in listed)
    assert {tuple(one["sends_to"]) for one in listed} == {("custom-webhook/weighbridge-alerts",)}
    assert "secret-path" not in str(listed)
