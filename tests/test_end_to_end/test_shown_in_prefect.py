"""What an operator sees of a run in Prefect: which state it ended in, and what there is to do."""

import pytest

from tests.browsers import launched_chromium
from tests.processes import fetch, until

pytestmark = pytest.mark.prefect

REVIEW_PAGE = {"WEIGHBRIDGE_REVIEW_URL": "http://review.example"}


def shown(yard, report):
    """The flow run of a report, as Prefect's API has it."""
    return fetch(f"{yard.api}/flow_runs/{report['prefect_flow_run_id']}")


def rows(number=4):
    return [
        {"job_id": f"job-{n}", "prompt": f"{n} go [[output_tokens=30]]", "max_tokens": 30}
        for n in range(number)
    ]


@pytest.mark.parametrize(
    ("more", "options", "code", "state", "words"),
    [
        ({}, [], 0, ("COMPLETED", "Completed"), "4 of 4 jobs succeeded"),
        (
            {"max_tokens": None, "max_input_tokens": 1},
            [],
            0,
            ("COMPLETED", "NeedsReview"),
            "1 job waits for a person",
        ),
        (
            {"params": '{"temperature": 0.5}'},
            [],
            4,
            ("FAILED", "Incomplete"),
            "1 job was rejected: fix the rows",
        ),
        (
            {},
            ["--run-budget-usd", "0.0002"],
            3,
            ("FAILED", "BudgetStop"),
            "start the run again: the rest fits; ",
        ),
    ],
    ids=["complete", "review", "rejected", "budget"],
)
def test_the_state_of_a_night_says_whether_it_needs_a_hand(yard, more, options, code, state, words):
    jobs = rows(4 if code != 3 else 20)
    jobs[0] |= more
    with yard.simulator():
        report = yard.run(yard.jobs(jobs), *options, code=code)
    flow_run = shown(yard, report)
    assert (flow_run["state"]["type"], flow_run["state"]["name"]) == state
    assert flow_run["state"]["message"].startswith(f"{report['run_id']}: ")
    assert words in flow_run["state"]["message"]
    assert flow_run["name"] == f"{flow_run['start_time'][:10]} jobs.parquet, messages"
    assert set(flow_run["tags"]) == {"messages", "policy:default", "simulated"}


def test_a_budget_stop_names_the_cap_to_raise_and_an_automation_can_listen_for_it(yard):
    with yard.simulator():
        policy = yard.policy(day_usd="0.0002")
        report = yard.run(yard.jobs(rows(20)), "--policy", policy, code=3)
    [cap] = report["deferred_for_money"]["caps"]
    assert (cap["setting"], cap["used_usd"]) == ("day.budget_usd", report["usd"]["actual"])
    message = shown(yard, report)["state"]["message"]
    assert "raise day.budget_usd in the policy from 0.0002 USD to " in message
    wanted = {"event": {"name": ["prefect.flow-run.BudgetStop"]}}

    def heard():
        found = fetch(f"{yard.api}/events/filter", {"filter": wanted, "limit": 50})["events"]
        return f"prefect.flow-run.{report['prefect_flow_run_id']}" in {
            event["resource"]["prefect.resource.id"] for event in found
        }

    until(heard, "the event")


@pytest.mark.parametrize("version", ["", "/v2"], ids=["first UI", "second UI"])
def test_the_report_is_a_page_with_a_chart_that_fits_a_window_of_800_pixels(yard, version):
    with yard.simulator():
        report = yard.run(yard.jobs(rows(20)), "--run-budget-usd", "0.0002", code=3, **REVIEW_PAGE)
    address = report["places"]["flow_run"]
    assert address == yard.api.replace("/api", f"/runs/flow-run/{report['prefect_flow_run_id']}")
    of_run = {
        "artifacts": {
            "flow_run_id": {"any_": [report["prefect_flow_run_id"]]},
            "type": {"any_": ["markdown"]},
        }
    }
    [artifact] = fetch(f"{yard.api}/artifacts/filter", of_run)
    assert artifact["key"] == "weighbridge-report"
    with launched_chromium() as chromium:
        page = chromium.new_page(viewport={"width": 800, "height": 1500})
        page.goto(f"{yard.api.replace('/api', version)}/artifacts/artifact/{artifact['id']}")
        chart = page.locator("img[src^='data:image/svg+xml']")
        chart.wait_for()
        assert chart.evaluate("image => image.complete && image.naturalWidth > 0 && image.width >= 500")
        assert page.get_by_role("link", name="Flow run").get_attribute("href") == address
        assert page.get_by_role("link", name="Review page").get_attribute("href") == "http://review.example"
        assert page.get_by_text("deferred for want of money (run budget)").count()
        widths = page.locator("table").evaluate_all("found => found.map(one => one.scrollWidth)")
        assert len(widths) >= 4
        assert max(widths) <= 800
        assert page.evaluate("document.documentElement.scrollWidth") <= 800
