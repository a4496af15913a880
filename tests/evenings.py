"""An operator's evening at the cockpit: what runs, the browser in front of it, and the flow runs that somebody begins."""

import json
import os
import re
import sqlite3
import subprocess
import time
from contextlib import closing

from tests.processes import BIN, fetch, until

KEPT = "data/up-simulated"
#: the flow runs that a test begins by their name: the deployment, and what is filled in
BEGUN = {
    "nothing": ("nightly", {}),
    "money": ("on-demand", {"jobs": "money.parquet", "run_budget_usd": "0.00005"}),
    "day": ("on-demand", {}),
    "long": ("on-demand", {"jobs": "long.parquet", "policy": "slow.toml"}),
    "killed": ("on-demand", {"jobs": "killed.parquet", "policy": "slow.toml"}),
    "again": ("on-demand", {"jobs": "killed.parquet"}),
    "approved": ("resubmit-approved", {}),
}
#: a busy machine takes a minute to begin a flow run
RUN_SECONDS = 300
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class Evening:
    """What is running, and the operator's browser in front of it."""

    def __init__(self, up, chromium):
        self.up, self.chromium, self.child = up, chromium, None
        self._begun = {}
        #: the review that a person has approved
        self.decided = None
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

    def begun(self, name):
        """The flow run of this name, which begins now where no test before has begun it."""
        if name not in self._begun:
            deployment, filled_in = BEGUN[name]
            self._begun[name] = self.up.begun_run(deployment, **filled_in)
        return self._begun[name]

    def press_until(self, press, done):
        """Press, and again each quarter of a minute, until it has happened, as a person does.

        Prefect refuses what was pressed while its database is locked for a moment.
        """
        presses = []

        def happened():
            if done():
                return True
            if not presses or time.monotonic() - presses[-1] > 15:
                press()
                presses.append(time.monotonic())
            return False

        until(happened, "what was pressed for", RUN_SECONDS)

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

    def attempts(self, flow_run):
        """The provider's ids of the paid calls of a flow run, by the ledger."""
        query = "SELECT request_id FROM attempts JOIN runs USING (run_id) WHERE prefect_flow_run_id = ?"
        with closing(sqlite3.connect(self.up.folder / KEPT / "ledger.db")) as ledger:
            return [one for (one,) in ledger.execute(query, (flow_run,))]

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

    def approved(self):
        """The only review that was approved, by the command line."""
        code, told = self.command("review", "list", "--status", "approved", "--json")
        assert code == 0, told
        [found] = json.loads(told)
        assert found["job_id"].startswith("dear-")
        return found

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
