"""`weighbridge up`: started as a person does, used, stopped with Ctrl-C, and started again over what it kept."""

import asyncio
import json
import os
import signal
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from prefect.client.orchestration import PrefectClient

from tests.processes import BIN, ONE_CERTIFICATE, ROOT, clean_environment, fetch, free_port, process, until

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
NAMES = {one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
#: the first start migrates Prefect's database
START_SECONDS = 300
READY = "Ctrl-C stops all of it."


class Up:
    """One place that `weighbridge up --simulate` is started in, more than once."""

    def __init__(self, folder):
        self.folder, self.log = folder, folder / "up.log"
        self.home = folder / "home"
        self.home.mkdir()
        self.ports = {name: free_port() for name in ("--port", "--review-port", "--simulator-port")}
        self.api = f"http://127.0.0.1:{self.ports['--port']}/api"
        self.simulator = f"http://127.0.0.1:{self.ports['--simulator-port']}"

    @property
    def environment(self):
        return clean_environment(self.home, **ONE_CERTIFICATE)

    @contextmanager
    def started(self):
        """It is ready; its log is that of this start."""
        options = [str(word) for pair in self.ports.items() for word in pair]
        command = [
            BIN / "weighbridge",
            "up",
            "--simulate",
            "--home",
            "kept",
            *options,
            "--webhook",
            "http://127.0.0.1:9",
        ]
        with process(command, self.environment, self.log, self.folder) as child:
            until(lambda: self._is_ready(child), "weighbridge up", START_SECONDS)
            yield child

    def _is_ready(self, child):
        assert child.poll() is None, self.log.read_text()
        return READY in self.log.read_text()

    def interrupted(self, child):
        """Ctrl-C: its exit code, and the processes that it left."""
        family = psutil.Process(child.pid).children(recursive=True)
        assert len(family) >= 4
        os.kill(child.pid, signal.SIGINT)
        code = child.wait(120)
        left = [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        return code, left

    def deployments(self):
        return {one["name"]: one for one in fetch(f"{self.api}/deployments/filter", {})}

    def ended_run(self, name):
        """How a run of a deployment ends that somebody starts without filling in anything."""
        made = asyncio.run(_run(self.api, self.deployments()[name]["id"]))
        address = f"{self.api}/flow_runs/{made.id}"
        return until(lambda: _end(fetch(address)), f"the end of {name}")

    def doctor(self):
        settings = {"ANTHROPIC_BASE_URL": self.simulator, "ANTHROPIC_API_KEY": "simulated"}
        ledger = f"sqlite:///{self.folder}/kept/ledger.db"
        ended = subprocess.run(
            [BIN / "weighbridge", "doctor", "--json", "--ledger", ledger],
            env=self.environment | settings | {"PREFECT_API_URL": self.api},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ended.returncode, json.loads(ended.stdout)["checks"]


def _end(run):
    state = run["state"]
    return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None


async def _run(api, deployment_id):
    async with PrefectClient(
        api
    ) as client:  # it tries again when the server's database is locked for a moment
        return await client.create_flow_run_from_deployment(deployment_id)


async def _pause(api, deployment):
    async with PrefectClient(api) as client:
        await client.update_deployment_schedule(
            deployment["id"], deployment["schedules"][0]["id"], active=False
        )


@pytest.mark.timeout(900)
def test_it_starts_all_of_it_keeps_what_an_operator_changed_and_leaves_no_process_behind(tmp_path):
    up = Up(tmp_path)
    with up.started() as child:
        assert "Alerts made: the block custom-webhook/weighbridge-alerts, " in up.log.read_text()
        made = up.deployments()
        assert set(made) == NAMES
        assert all(one["work_pool_name"] == "weighbridge" for one in made.values())
        assert {one["name"]: len(one["schedules"]) for one in made.values()}["nightly"] == 1

        empty = up.ended_run("nightly")
        assert (empty["type"], empty["name"]) == ("COMPLETED", "Completed"), empty
        assert empty["message"].startswith("There was nothing to do: There is no file data/incoming/")

        rows = {"job_id": ["a", "b"], "prompt": ["Weigh this. [[output_tokens=5]]", "And this."]}
        pq.write_table(pa.table(rows), tmp_path / f"data/incoming/{datetime.now(UTC):%Y-%m-%d}.parquet")
        night = up.ended_run("on-demand")
        assert night["type"] == "COMPLETED", night
        assert "2 of 2 jobs succeeded" in night["message"]
        billed = (tmp_path / "kept/billed.jsonl").read_text().splitlines()
        assert len(billed) == 2

        code, checks = up.doctor()
        assert (code, {check["state"] for check in checks}) == (0, {"ok"}), checks

        asyncio.run(_pause(up.api, made["nightly"]))
        assert up.interrupted(child) == (0, [])

    with up.started() as child:
        assert not up.deployments()["nightly"]["schedules"][0]["active"]
        assert up.deployments()["quote"]["id"] == made["quote"]["id"]
        shown = up.log.read_text()
        assert "Left as it is: nightly: the schedule every-night-at-two is" in shown
        assert "Deployments made" not in shown
        assert "7 alerts are there already, as they should be." in shown
        assert up.interrupted(child) == (0, [])
