"""The deployments of prefect.yaml: what they say, and that a real server and worker run them."""

import inspect
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from simulator.process import running_simulator

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def _flow(deployment: dict):
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(import_module(module), name)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_a_deployment_names_a_flow_and_parameters_that_it_takes(deployment):
    taken = inspect.signature(_flow(deployment).fn).parameters

    assert set(deployment.get("parameters", {})) <= set(taken)
    for schedule in deployment["schedules"]:
        assert ZoneInfo(schedule["timezone"])
        assert len(schedule["cron"].split()) == 5


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_every_parameter_of_the_form_has_its_description(deployment):
    properties = _flow(deployment).parameters.properties

    assert [name for name, field in properties.items() if not field.get("description")] == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def _process(command: list[str], env: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=env, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait(30)


def _ask(url: str, body: dict | None = None) -> dict:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _until(what: str, check, log: Path, tries: int = 600):
    for _ in range(tries):
        try:
            if found := check():
                return found
        except OSError:
            pass
        time.sleep(0.2)
    pytest.fail(f"{what} did not happen; the log ends: {log.read_text()[-1500:]}")


@pytest.mark.prefect
@pytest.mark.xdist_group("deployments")
def test_the_deployments_are_made_and_a_worker_runs_the_one_that_a_person_starts(tmp_path):
    port = _free_port()
    api = f"http://127.0.0.1:{port}/api"
    jobs = tmp_path / "jobs.parquet"
    pq.write_table(
        pa.table({"job_id": ["a", "b"], "prompt": ["Weigh this. [[output_tokens=5]]", "And this."]}), jobs
    )
    with running_simulator(log=tmp_path / "billed.jsonl") as simulator:
        env = {
            **{
                k: v
                for k, v in os.environ.items()
                if not k.startswith(("PREFECT_", "ANTHROPIC_", "WEIGHBRIDGE_"))
            },
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(tmp_path / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "ANTHROPIC_BASE_URL": simulator.base_url,
            "ANTHROPIC_API_KEY": "simulated",
        }
        server = [str(BIN / "prefect"), "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with _process(server, env, tmp_path / "server.log"):
            _until("a healthy server", lambda: _ask(f"{api}/health"), tmp_path / "server.log")
            env["PREFECT_API_URL"] = api
            for command in (["work-pool", "create", "weighbridge", "--type", "process"], ["deploy", "--all"]):
                done = subprocess.run(
                    [BIN / "prefect", "--no-prompt", *command],
                    cwd=ROOT,
                    env=env,
                    capture_output=True,
                    text=True,
                    timeout=180,
                    check=False,
                )
                assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
            made = {d["name"]: d for d in _ask(f"{api}/deployments/filter", {})}
            assert set(made) == {"nightly", "collect-batches", "resubmit-approved", "on-demand"}
            assert made["nightly"]["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
            planned = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
            planned_of = _until(
                "a run of every schedule",
                lambda: (
                    len(found := {n["deployment_id"] for n in _ask(f"{api}/flow_runs/filter", planned)}) == 3
                    and found
                ),
                tmp_path / "server.log",
            )
            assert planned_of == {
                made[name]["id"] for name in ("nightly", "collect-batches", "resubmit-approved")
            }

            run = _ask(
                f"{api}/deployments/{made['on-demand']['id']}/create_flow_run",
                {
                    "parameters": {
                        "jobs": str(jobs),
                        "ledger": f"sqlite:///{tmp_path}/ledger.db",
                        "results": str(tmp_path / "results"),
                    }
                },
            )
            worker = [str(BIN / "prefect"), "worker", "start", "--pool", "weighbridge", "--type", "process"]
            log = tmp_path / "worker.log"
            with _process(worker, env, log):
                state = _until(
                    "the end of the run",
                    lambda: (
                        (s := _ask(f"{api}/flow_runs/{run['id']}")["state"])["type"]
                        in ("COMPLETED", "FAILED", "CRASHED")
                        and s
                    ),
                    log,
                )

        assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), log.read_text()[-1500:]
        with sqlite3.connect(tmp_path / "ledger.db") as ledger:
            assert ledger.execute("SELECT prefect_flow_run_id, outcome FROM runs").fetchall() == [
                (run["id"], "complete")
            ]
            spent = ledger.execute("SELECT sum(actual_nano_usd) FROM attempts").fetchone()[0]
        assert spent == sum(line["cost_nano_usd"] for line in simulator.billed())
