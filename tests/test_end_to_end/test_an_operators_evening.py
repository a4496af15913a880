"""An operator's evening: one `weighbridge up --simulate` in a new folder, a browser, the review page, the command line.

The tests share what is running, and follow one another as the evening does.
"""

import json
import os
import re
import subprocess
from collections import Counter
from contextlib import suppress

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.browsers import launched_chromium, opened
from tests.processes import BIN, fetch, until
from tests.shown_forms import SHOWN, ShownForm
from tests.standing import Up

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.slow,
    pytest.mark.skipif(
        "WEIGHBRIDGE_QUIET" not in os.environ,
        reason="eight minutes, and seventeen on a machine with other work",
    ),
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("operators-evening"),
]
KEPT = "data/up-simulated"
DEPLOYMENTS = {"nightly", "on-demand", "collect-batches", "resubmit-approved", "quote", "audit-tools"}
#: a busy machine takes a minute to begin a flow run
RUN_SECONDS = 300
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ROWS = 150
#: a row a second: time to press Cancel; and few task runs, since a browser without a graphics card draws them slowly
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


class Evening:
    """What is running, and the operator's browser in front of it."""

    def __init__(self, up, chromium):
        self.up, self.chromium, self.child = up, chromium, None
        self.ui = f"{up.api.removesuffix('/api')}/v2"
        self.review_page = f"http://127.0.0.1:{up.ports['--review-port']}"
        self.ids = {name: one["id"] for name, one in up.deployments().items()}
        context = chromium.new_context(viewport={"width": 1280, "height": 1400})
        cookie = {"name": "prefect_ui_version", "value": "v2", "url": self.ui.removesuffix("/v2")}
        context.add_cookies([cookie])
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)

    def picture(self, name, page=None):
        """A screenshot, where somebody asks for one."""
        if folder := os.environ.get("WEIGHBRIDGE_PICTURES"):
            shown = page or self.page
            shown.wait_for_timeout(2_000)
            shown.screenshot(path=f"{folder}/evening_{name}.png", full_page=True)

    def go(self, path):
        self.page.goto(f"{self.ui}/{path}")

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def run(self, flow_run):
        return fetch(f"{self.up.api}/flow_runs/{flow_run}")

    def ended(self, flow_run):
        """Name and message of the state that a flow run ends in."""

        def state():
            found = self.run(flow_run)["state"]
            return found if found["type"] in ENDED else None

        found = until(state, "the end of a run", RUN_SECONDS)
        return found["name"], found["message"]

    def watch(self, flow_run, state):
        """Stay on the page of a flow run, without a reload, until it shows this state."""
        self.go(f"runs/flow-run/{flow_run}")
        badge = self.page.get_by_text(state, exact=True).first
        badge.wait_for(timeout=1_000 * RUN_SECONDS)

    def message(self):
        """What the page of a flow run says as its state's message."""
        self.tab("Details")
        self.page.get_by_text("State Message").wait_for()
        return self.page.locator("body").inner_text()

    def task_runs(self, flow_run):
        wanted = {"flow_runs": {"id": {"any_": [flow_run]}}, "limit": 200}
        return fetch(f"{self.up.api}/task_runs/filter", wanted)

    def until_it_sends(self, flow_run):
        """Wait until rows of a run are paid for while others wait."""

        def sends():
            state = self.run(flow_run)["state"]
            assert state["type"] not in ENDED, state
            return any(
                one["name"].startswith("send") and one["state_type"] == "RUNNING"
                for one in self.task_runs(flow_run)
            )

        until(sends, "the first paid rows", RUN_SECONDS)
        before = len(self.billed())
        until(lambda: len(self.billed()) > before + 2, "paid rows")

    def billed(self):
        return [json.loads(line) for line in (self.up.folder / KEPT / "billed.jsonl").open()]

    def open_report(self, flow_run):
        """The report artifact of a flow run, once its page lists it: its text."""
        wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run]}, "type": {"any_": ["markdown"]}}}
        [made] = until(lambda: fetch(f"{self.up.api}/artifacts/filter", wanted), "the report", RUN_SECONDS)
        assert made["key"] == "weighbridge-report-on-demand"
        self.go(f"runs/flow-run/{flow_run}")
        self.tab("Artifacts")
        self.page.get_by_text(made["key"]).wait_for()
        # the card leads to the history of the deployment's reports, of which this is one
        self.go(f"artifacts/artifact/{made['id']}")
        return self.page.locator("h1", has_text="run-").locator("xpath=..").inner_text()

    def command(self, *words):
        """The exit code and the output of a command, in the shell that `up` explains: with what it says to export."""
        exports = dict(re.findall(r"(PREFECT_API_URL|WEIGHBRIDGE_LEDGER)=(\S+)", self.up.log.read_text()))
        assert len(exports) == 2
        ended = subprocess.run(
            [BIN / "weighbridge", *words],
            env=self.up.environment | exports,
            cwd=self.up.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, ended.stdout + ended.stderr


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


def test_the_six_deployments_are_listed(evening):
    assert set(evening.ids) == DEPLOYMENTS
    evening.go("deployments")
    evening.page.get_by_text("6 Deployments").wait_for()
    listed = evening.page.locator("tbody tr").all_inner_texts()
    assert {row.split()[0] for row in listed} == DEPLOYMENTS
    evening.picture("deployments")


def test_the_form_refuses_wrong_input_and_the_run_that_it_starts_is_watched_to_its_report(evening):
    deployment = evening.ids["on-demand"]
    asked = {"deployments": {"id": {"any_": [deployment]}}}
    evening.go(f"deployments/deployment/{deployment}/run")
    evening.page.get_by_text(SHOWN["base_url"]["title"]).first.wait_for()
    form = ShownForm(evening.page, "v2")
    form.write(jobs="first.parquet", run_budget_usd="1,50")
    form.submit()
    evening.page.get_by_text("'1,50' does not match").first.wait_for()
    evening.picture("form_refused")
    assert fetch(f"{evening.up.api}/flow_runs/filter", asked) == []

    form.write(run_budget_usd="1.50")
    [begun] = form.submit_until(lambda: fetch(f"{evening.up.api}/flow_runs/filter", asked))
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
    assert chart.evaluate("image => image.complete && image.naturalWidth > 0")


def test_a_run_that_stops_for_money_says_which_cap_to_raise_to_what(evening):
    flow_run = evening.up.begun_run("on-demand", jobs="money.parquet", run_budget_usd="0.00005")
    evening.watch(flow_run, "BudgetStop")
    raised = r'raise run_budget_usd \("Run budget in USD" in the form\) from 0\.00005 USD to 0\.000\d+ USD'
    assert re.search(rf"deferred for want of money \(run budget\): .* {raised}", evening.message())
    evening.picture("budget_stop")
    report = evening.open_report(flow_run)
    assert re.search(raised, report)
    assert "at no moment were held and spent together above a cap" in report
    evening.picture("budget_stop_report")


def test_a_run_that_is_cancelled_in_the_ui_closes_its_books_and_reports(evening):
    flow_run = evening.up.begun_run("on-demand", jobs="long.parquet", policy="slow.toml")
    evening.until_it_sends(flow_run)
    evening.go(f"runs/flow-run/{flow_run}")
    evening.page.get_by_text("Running", exact=True).first.wait_for()
    evening.picture("under_way")
    evening.page.get_by_role("button", name="Open menu").last.click()
    evening.page.get_by_role("menuitem", name="Cancel").click()
    evening.page.get_by_role("button", name="Cancel Flow Run").click()
    evening.page.get_by_text("Cancelled", exact=True).first.wait_for(timeout=1_000 * RUN_SECONDS)
    assert "Flow run was cancelled successfully." in evening.message()
    evening.picture("cancelled")
    report = evening.open_report(flow_run)
    evening.picture("cancelled_report")
    assert re.match(r"run-\S+: failed", report)
    paid = int(re.search(r"succeeded\s+(\d+)", report).group(1))
    assert 0 < paid < ROWS


def test_a_run_whose_process_is_killed_is_shown_as_crashed_after_the_next_run(evening):
    flow_run = evening.up.begun_run("on-demand", jobs="killed.parquet", policy="slow.toml")
    evening.until_it_sends(flow_run)
    kill_process_of(flow_run)
    name, _ = evening.ended(evening.up.begun_run("on-demand", jobs="killed.parquet"))
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
    assert set(Counter(line["payload_sha256"] for line in evening.billed()).values()) == {1}
    code, told = evening.command("verify")
    assert code == 0, told


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


def test_a_review_is_decided_by_keyboard_and_what_was_approved_is_sent(evening):
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
    code, told = evening.command("review", "list", "--status", "approved", "--json")
    assert code == 0, told
    [approved] = json.loads(told)
    assert (approved["job_id"][:5], approved["decided_by"]) == ("dear-", "Anna Reviewer")
    name, message = evening.ended(evening.up.begun_run("resubmit-approved"))
    assert name == "Completed", message
    code, told = evening.command("show", approved["job_id"])
    assert code == 0, told
    assert "succeeded" in told
    code, told = evening.command("runs")
    assert code == 0, told
    assert "budget_stop" in told


def test_a_schedule_that_was_paused_stays_paused_when_all_of_it_is_started_again(evening):
    evening.go(f"deployments/deployment/{evening.ids['nightly']}")
    switch = evening.page.get_by_role("switch")
    assert switch.get_attribute("aria-checked") == "true"
    switch.click()
    until(lambda: not is_active(evening), "the pause")
    assert evening.up.interrupted(evening.child) == (0, [])
    with evening.up.started() as child:
        assert not is_active(evening)
        assert "Left as it is: nightly: the schedule every-night-at-two is" in evening.up.log.read_text()
        evening.go(f"deployments/deployment/{evening.ids['nightly']}")
        until(lambda: switch.get_attribute("aria-checked") == "false", "the switch")
        evening.picture("paused")
        assert evening.up.interrupted(child) == (0, [])


def is_active(evening):
    return evening.up.deployments()["nightly"]["schedules"][0]["active"]
