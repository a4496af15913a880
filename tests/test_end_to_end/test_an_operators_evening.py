"""An operator's evening: one `weighbridge up --simulate` in a new folder, a browser, the review page, the command line.

The tests share what is running, and follow one another as the evening does. A flow run takes a while to start, so a test
begins the one that the next test looks at.
"""

import re
import subprocess
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.browsers import launched_chromium, opened
from tests.evenings import KEPT, RUN_SECONDS, Evening
from tests.processes import ROOT, fetch, until
from tests.shown_forms import SHOWN, ShownForm
from tests.standing import Up

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("operators-evening"),
]
DEPLOYMENTS = {one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
#: at a row a second, time to press Cancel and to kill, also while the machine is busy; and few task runs, since a browser
#: without a graphics card draws them slowly
ROWS = 300
SLOW = """
name = "slow"
max_task_runs = 5
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 100_000
[limits]
messages_per_minute = 60
"""


def rows(name, number, **more):
    return [
        {"job_id": f"{name}-{n}", "prompt": f"{name} {n} [[output_tokens=20]]", "max_tokens": 30} | more
        for n in range(number)
    ]


def write_jobs(folder):
    dear = rows("dear", 2, max_tokens=8_000, max_cost_usd="0.001")
    files = {
        "first": rows("first", 6, max_cost_usd="1") + dear,
        "money": rows("money", 20),
        "long": rows("long", ROWS),
        "killed": rows("killed", ROWS),
    }
    for name, of_file in files.items():
        pq.write_table(pa.Table.from_pylist(of_file), folder / f"{name}.parquet")
    (folder / "slow.toml").write_text(SLOW)


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evening")
    write_jobs(folder)
    return Up(folder, KEPT)


@pytest.fixture(scope="module")
def evening(up):
    """Everything runs; afterwards it is stopped as by Ctrl-C, whatever failed."""
    with up.started() as child, launched_chromium() as chromium:
        shown = Evening(up, chromium)
        shown.child = child
        yield shown
        if child.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                up.interrupted(child)


def test_the_six_deployments_are_made_with_their_alerts_and_listed(evening):
    evening.begun("nothing")
    assert "Alerts made: the block custom-webhook/weighbridge-alerts, " in evening.up.log.read_text()
    made = evening.up.deployments()
    assert set(made) == DEPLOYMENTS
    assert all(one["work_pool_name"] == "weighbridge" for one in made.values())
    assert len(made["nightly"]["schedules"]) == 1
    evening.go("deployments")
    evening.page.get_by_text("6 Deployments").wait_for()
    listed = evening.page.locator("tbody tr")
    until(lambda: {row.split()[0] for row in listed.all_inner_texts()} == DEPLOYMENTS, "the list")
    evening.picture("deployments")


def test_the_form_refuses_wrong_input_and_the_run_that_it_starts_is_watched_to_its_report(evening):
    money, deployment = evening.begun("money"), evening.ids["on-demand"]
    asked = {"deployments": {"id": {"any_": [deployment]}}}

    def started():
        return [one for one in fetch(f"{evening.up.api}/flow_runs/filter", asked) if one["id"] != money]

    evening.go(f"deployments/deployment/{deployment}/run")
    evening.page.get_by_text(SHOWN["base_url"]["title"]).first.wait_for()
    form = ShownForm(evening.page, "v2")
    form.write(jobs="first.parquet", run_budget_usd="1,50")
    form.submit()
    evening.page.get_by_text("'1,50' does not match").first.wait_for()
    evening.picture("form_refused")
    assert started() == []

    form.write(run_budget_usd="1.50")
    [begun] = form.submit_until(started)
    assert begun["parameters"] | {"jobs": "first.parquet", "run_budget_usd": "1.50"} == begun["parameters"]
    evening.watch(begun["id"], "NeedsReview")
    evening.picture("run")
    assert "6 of 8 jobs succeeded" in evening.message()
    report = evening.open_report(begun["id"])
    evening.picture("report")
    assert "2 jobs wait for a person" in report
    link = evening.page.get_by_role("link", name="Review page").get_attribute("href")
    assert link == evening.review_page
    chart = evening.page.locator("img[src^='data:image/svg+xml']")
    until(lambda: chart.evaluate("image => image.complete && image.naturalWidth > 0"), "the chart")


def test_a_night_whose_file_is_not_there_has_nothing_to_do(evening):
    name, message = evening.ended(evening.begun("nothing"))
    assert name == "Completed", message
    assert message.startswith("There was nothing to do: There is no file data/incoming/")
    of_the_day = pa.Table.from_pylist(rows("day", 2))
    pq.write_table(of_the_day, evening.up.folder / f"data/incoming/{datetime.now(UTC):%Y-%m-%d}.parquet")
    evening.begun("day")


def test_a_run_that_stops_for_money_says_which_cap_to_raise_to_what(evening):
    flow_run = evening.begun("money")
    evening.begun("long")
    evening.watch(flow_run, "BudgetStop")
    raised = r'raise run_budget_usd \("Run budget in USD" in the form\) from 0\.00005 USD to 0\.000\d+ USD'
    assert re.search(rf"deferred for want of money \(run budget\): .* {raised}", evening.message())
    evening.picture("budget_stop")
    report = evening.open_report(flow_run)
    assert re.search(raised, report)
    assert "at no moment were held and spent together above a cap" in report
    evening.picture("budget_stop_report")


def test_without_anything_filled_in_the_jobs_of_the_day_are_run_and_the_doctor_is_content(evening):
    flow_run = evening.begun("day")
    name, message = evening.ended(flow_run)
    assert name == "Completed", message
    assert "2 of 2 jobs succeeded" in message
    paid = evening.attempts(flow_run)
    assert len(paid) == 2
    assert set(paid) <= {line["request_id"] for line in evening.billed()}
    code, checks = evening.up.doctor()
    assert (code, {check["state"] for check in checks}) == (0, {"ok"}), checks


def test_a_run_that_is_cancelled_in_the_ui_closes_its_books_and_reports(evening):
    flow_run = evening.begun("long")
    evening.until_it_sends(flow_run)
    evening.go(f"runs/flow-run/{flow_run}")
    evening.page.get_by_text("Running", exact=True).first.wait_for()
    evening.picture("under_way")

    def cancel():
        evening.page.get_by_role("button", name="Open menu").last.click()
        evening.page.get_by_role("menuitem", name="Cancel").click()
        evening.page.get_by_role("button", name="Cancel Flow Run").click()

    evening.press_until(cancel, lambda: evening.run(flow_run)["state"]["type"].startswith("CANCEL"))
    evening.begun("killed")
    evening.page.get_by_text("Cancelled", exact=True).first.wait_for(timeout=1_000 * RUN_SECONDS)
    assert "Flow run was cancelled successfully." in evening.message()
    evening.picture("cancelled")
    report = evening.open_report(flow_run)
    evening.picture("cancelled_report")
    assert re.match(r"run-\S+: failed", report)
    paid = int(re.search(r"succeeded\s+(\d+)", report).group(1))
    assert 0 < paid < ROWS


def test_a_review_is_decided_by_keyboard(evening):
    with opened(evening.chromium, evening.review_page) as page:
        page.get_by_label("Job, detail or note").fill("dear")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**q=dear**")
        page.locator("td.review-job").first.wait_for()
        page.locator("body").click(position={"x": 2, "y": 2})
        evening.picture("reviews", page)
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Why it waits").wait_for()
        evening.picture("review", page)
        page.keyboard.press("a")
        page.keyboard.press("Enter")
        page.get_by_text("1 job approved.").wait_for()
        evening.picture("review_decided", page)
    evening.decided = evening.approved()
    assert evening.decided["decided_by"] == "Anna Reviewer"


def test_a_run_whose_process_is_killed_is_shown_as_crashed_after_the_next_run(evening):
    flow_run = evening.begun("killed")
    evening.until_it_sends(flow_run)
    kill_process_of(flow_run)
    again = evening.begun("again")
    evening.begun("approved")
    name, _ = evening.ended(again)
    assert name in ("Completed", "NeedsReview", "Incomplete")
    evening.watch(flow_run, "Crashed")
    assert re.search(r"State Message\s+Process exited with status code: -9", evening.message())
    evening.picture("killed")
    evening.tab("Task Runs")
    evening.page.get_by_text(re.compile(r"1 Crashed, \d+ Completed")).wait_for()
    evening.picture("killed_task_runs")
    died = [one["state"]["message"] for one in evening.task_runs(flow_run) if one["state_type"] == "CRASHED"]
    assert len(died) == 1
    assert "another one has closed its books" in died[0].casefold()
    assert {one["state_type"] for one in evening.task_runs(flow_run)} == {"COMPLETED", "CRASHED"}


def kill_process_of(flow_run):
    """SIGKILL, as the kernel does when memory runs out."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("PREFECT__FLOW_RUN_ID") == flow_run:
                found.append(process)
    assert found
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_what_was_approved_is_sent_and_nothing_of_the_evening_was_paid_twice(evening):
    name, message = evening.ended(evening.begun("approved"))
    assert name == "Completed", message
    code, told = evening.command("show", evening.decided["job_id"])
    assert code == 0, told
    assert "succeeded" in told
    code, told = evening.command("runs")
    assert code == 0, told
    assert "budget stop" in told
    assert set(Counter(line["payload_sha256"] for line in evening.billed()).values()) == {1}
    code, told = evening.command("verify")
    assert code == 0, told


def test_what_was_paused_stays_paused_and_nothing_is_made_twice_when_all_of_it_is_started_again(evening):
    evening.go(f"deployments/deployment/{evening.ids['nightly']}")
    switch = evening.page.get_by_role("switch")
    until(lambda: switch.get_attribute("aria-checked") == "true", "the switch")
    evening.press_until(switch.click, lambda: not is_active(evening))
    assert evening.up.interrupted(evening.child) == (0, [])
    with evening.up.started() as child:
        assert not is_active(evening)
        assert {name: one["id"] for name, one in evening.up.deployments().items()} == evening.ids
        shown = evening.up.log.read_text()
        assert "Left as it is: nightly: the schedule every-night-at-two is" in shown
        assert "Deployments made" not in shown
        assert "7 alerts are there already, as they should be." in shown
        evening.go(f"deployments/deployment/{evening.ids['nightly']}")
        until(lambda: switch.get_attribute("aria-checked") == "false", "the switch")
        evening.picture("paused")
        assert evening.up.interrupted(child) == (0, [])


def is_active(evening):
    return evening.up.deployments()["nightly"]["schedules"][0]["active"]
