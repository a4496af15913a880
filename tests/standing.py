"""`weighbridge up --simulate`: a place that it is started in as a person does, and what is asked of its server."""

import asyncio
import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
from prefect.client.orchestration import PrefectClient

from tests.processes import (
    BIN,
    ONE_CERTIFICATE,
    WORKER_LOOKS,
    clean_environment,
    fetch,
    free_port,
    process,
    until,
)

#: the first start migrates Prefect's database
START_SECONDS = 300
READY = "Ctrl-C stops all of it."


class Up:
    """One place that `weighbridge up --simulate` is started in, more than once."""

    def __init__(self, folder, kept="kept"):
        """Make the home of a newcomer, and choose free ports.

        Args:
            folder: where it is started; nothing is there yet.
            kept: the folder in it that keeps all things between starts.
        """
        self.folder, self.log, self.kept = folder, folder / "up.log", kept
        self.home = folder / "home"
        self.home.mkdir()
        self.ports = {name: free_port() for name in ("--port", "--review-port", "--simulator-port")}
        self.api = f"http://127.0.0.1:{self.ports['--port']}/api"
        self.simulator = f"http://127.0.0.1:{self.ports['--simulator-port']}"

    @property
    def environment(self):
        return clean_environment(self.home, **ONE_CERTIFICATE, **WORKER_LOOKS)

    @contextmanager
    def started(self):
        """It is ready; its log is that of this start."""
        options = [str(word) for pair in self.ports.items() for word in pair]
        command = [
            BIN / "weighbridge",
            "up",
            "--simulate",
            "--home",
            self.kept,
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

    def begun_run(self, name, **parameters):
        """The id of a run of a deployment that somebody starts now."""
        deployment = self.deployments()[name]["id"]
        with ThreadPoolExecutor(1) as thread:  # a browser has the loop of this one
            made = thread.submit(asyncio.run, _run(self.api, deployment, parameters)).result()
        return str(made.id)

    def doctor(self):
        settings = {"ANTHROPIC_BASE_URL": self.simulator, "ANTHROPIC_API_KEY": "simulated"}
        ledger = f"sqlite:///{self.folder}/{self.kept}/ledger.db"
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


async def _run(api, deployment_id, parameters):
    async with PrefectClient(
        api
    ) as client:  # it tries again when the server's database is locked for a moment
        return await client.create_flow_run_from_deployment(deployment_id, parameters=parameters)
