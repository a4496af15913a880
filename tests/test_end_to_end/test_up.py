"""`weighbridge up`: started as a person does, used, stopped with Ctrl-C, and started again over what it kept."""

import asyncio
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.processes import ROOT
from tests.standing import Up, pause

pytestmark = [pytest.mark.prefect, pytest.mark.slow]
NAMES = {one["name"] for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}


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

        asyncio.run(pause(up.api, made["nightly"]))
        assert up.interrupted(child) == (0, [])

    with up.started() as child:
        assert not up.deployments()["nightly"]["schedules"][0]["active"]
        assert up.deployments()["quote"]["id"] == made["quote"]["id"]
        shown = up.log.read_text()
        assert "Left as it is: nightly: the schedule every-night-at-two is" in shown
        assert "Deployments made" not in shown
        assert "7 alerts are there already, as they should be." in shown
        assert up.interrupted(child) == (0, [])
