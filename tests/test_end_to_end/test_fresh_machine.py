"""The first command of a newcomer: no key, no Prefect server, nothing in the home folder."""

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("end-to-end-2")]


def test_a_first_run_with_simulate_starts_everything_it_needs_and_prints_one_json_object(cold_yard):
    yard = cold_yard
    jobs = yard.jobs([{"job_id": f"job-{n}", "prompt": f"hello {n} [[output_tokens=7]]"} for n in range(5)])
    ended = yard.weighbridge("run", jobs, "--simulate", "--json")
    assert ended.code == 0, ended.told()
    report = ended.json
    assert ended.err == "", ended.told()
    assert report["simulated"] is True
    yard.assert_accounted(report, 5)
    log = (yard.folder / "data/simulated/billed.jsonl").read_text().splitlines()
    yard.assert_agreement(report, [json.loads(line) for line in log])
    assert Path(report["places"]["results"]).is_relative_to(yard.folder / "data/simulated")
