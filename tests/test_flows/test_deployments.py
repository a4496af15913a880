"""The deployments of prefect.yaml: what they say, and that a real server and worker run them."""

import inspect
import sqlite3
import subprocess
from contextlib import closing
from datetime import date, datetime, timedelta
from importlib import import_module
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from prefect.server.schemas.schedules import CronSchedule

from rules.dated_path import dated_path
from schemas.deployment import ScheduleSpec
from schemas.errors import BadInput
from services.deployments import POOL, deployments_of
from simulator.process import running_simulator
from tests.processes import BIN, ROOT, WORKER_LOOKS, clean_environment, fetch, process, until

DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


def _flow(deployment: dict):
    module, name = deployment["entrypoint"].rsplit(".", 1)
    return getattr(import_module(module), name)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_a_deployment_names_a_flow_and_parameters_that_it_takes(deployment):
    taken = inspect.signature(_flow(deployment).fn).parameters

    assert set(deployment.get("parameters", {})) <= set(taken)
    assert deployment["description"].endswith(".")
    assert "weighbridge" in deployment["tags"]
    for schedule in deployment["schedules"]:
        assert ZoneInfo(schedule["timezone"])
        assert len(schedule["cron"].split()) == 5


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_every_parameter_of_the_form_has_its_description(deployment):
    properties = _flow(deployment).parameters.properties

    assert [name for name, field in properties.items() if not field.get("description")] == []


def ended(run):
    return run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED")


@pytest.mark.prefect
@pytest.mark.slow
def test_the_deployments_are_made_and_a_worker_runs_the_one_that_a_person_starts(tmp_path, prefect_api):
    jobs = tmp_path / "jobs.parquet"
    rows = {"job_id": ["a", "b"], "prompt": ["Weigh this. [[output_tokens=5]]", "And this."]}
    pq.write_table(pa.table(rows), jobs)
    log = tmp_path / "worker.log"
    with running_simulator(log=tmp_path / "billed.jsonl") as simulator:
        env = clean_environment(
            tmp_path,
            PREFECT_API_URL=prefect_api,
            ANTHROPIC_BASE_URL=simulator.base_url,
            ANTHROPIC_API_KEY="simulated",
            **WORKER_LOOKS,
        )
        prefect(env, "work-pool", "create", "weighbridge", "--type", "process")
        prefect(env, "deploy", "--all")
        made = {one["name"]: one for one in fetch(f"{prefect_api}/deployments/filter", {})}
        assert (
            set(made)
            == {one["name"] for one in DEPLOYMENTS}
            >= {"nightly", "on-demand", "quote", "audit-tools"}
        )
        assert made["nightly"]["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
        assert planned_deployments(prefect_api, 3) == {
            made[name]["id"] for name in ("nightly", "collect-batches", "resubmit-approved")
        }

        places = {"ledger": f"sqlite:///{tmp_path}/ledger.db", "results": str(tmp_path / "results")}
        start = f"{prefect_api}/deployments/{made['on-demand']['id']}/create_flow_run"
        asked = {"parameters": {"jobs": str(jobs), **places}, "name": "By hand"}
        run = fetch(start, asked)
        others = tmp_path / "others.parquet"
        pq.write_table(pa.table({"job_id": ["c"], "prompt": ["There is no money for this."]}), others)
        without_money = {"jobs": str(others), **places, "run_budget_usd": "0.000000001"}
        short = fetch(start, {"parameters": without_money, "name": "Rustic-Zebu"})
        worker = [BIN / "prefect", "worker", "start", "--pool", "weighbridge", "--type", "process"]
        with process(worker, env, log, ROOT):
            address = f"{prefect_api}/flow_runs/{run['id']}"
            shown = until(lambda: ended(found := fetch(address)) and found, "the end of the run")
            other = f"{prefect_api}/flow_runs/{short['id']}"
            stopped = until(
                lambda: ended(found := fetch(other)) and found, "the end of the run without money"
            )

        state = shown["state"]
        assert (state["type"], state["name"]) == ("COMPLETED", "Completed"), log.read_text()[-1500:]
        assert shown["name"] == "By hand"
        assert set(shown["tags"]) >= {"by-hand", "messages", "policy:default", "simulated"}
        # the process has ended meanwhile, and no worker took its failed state for a crash
        state = fetch(other)["state"]
        assert (state["type"], state["name"]) == ("FAILED", "BudgetStop"), log.read_text()[-1500:]
        assert stopped["name"].endswith(" others.parquet, messages")
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
            assert set(ledger.execute("SELECT prefect_flow_run_id, outcome FROM runs")) == {
                (run["id"], "complete"),
                (short["id"], "budget_stop"),
            }
            spent = ledger.execute("SELECT sum(actual_nano_usd) FROM attempts").fetchone()[0]
        assert spent == sum(line["cost_nano_usd"] for line in simulator.billed())


def prefect(env, *arguments):
    """Run the `prefect` command in the project's folder."""
    command = [BIN / "prefect", "--no-prompt", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]


def planned_deployments(api, number):
    """The deployments that have scheduled runs, once that many of them do."""
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}

    def found():
        planned = {run["deployment_id"] for run in fetch(f"{api}/flow_runs/filter", scheduled)}
        return planned if len(planned) == number else None

    return until(found, "a run of every schedule")


def test_the_file_is_read_whole_and_what_only_prefect_deploy_knows_is_named(tmp_path):
    specs = deployments_of()
    assert [spec.name for spec in specs] == [one["name"] for one in DEPLOYMENTS]
    assert {spec.left_out for spec in specs} == {()}
    assert {spec.work_pool for spec in specs} == {POOL}
    assert specs[0].schedules == (ScheduleSpec("every-night-at-two", "0 2 * * *", "Europe/Berlin"),)
    file = tmp_path / "prefect.yaml"
    file.write_text(
        yaml.safe_dump({"deployments": [DEPLOYMENTS[1] | {"triggers": [], "concurrency_limit": 1}]})
    )
    assert deployments_of(file)[0].left_out == ("concurrency_limit", "triggers")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
async def test_every_day_has_one_night_also_where_clocks_are_changed_and_in_a_leap_year(zone):
    [night] = deployments_of()[0].schedules
    schedule = CronSchedule(cron=night.cron, timezone=night.timezone)
    first = date(2027, 1, 1)
    starts = await schedule.get_dates(
        n=2 * 365 + 1, start=datetime(2027, 1, 1, tzinfo=ZoneInfo(night.timezone))
    )
    days = [dated_path("{date}", start, zone) for start in starts]
    assert days == [f"{first + timedelta(days=number)}" for number in range(2 * 365 + 1)]


@pytest.mark.parametrize(
    "text", ["", "deployments: [{name: a}]", "deployments: 5", ": :", "deployments: [[a]]"]
)
def test_a_file_that_is_none_of_deployments_is_refused(tmp_path, text):
    file = tmp_path / "prefect.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match="cannot be read"):
        deployments_of(file)
    with pytest.raises(BadInput, match="FileNotFoundError"):
        deployments_of(tmp_path / "none.yaml")
