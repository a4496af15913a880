"""The commands as a newcomer starts them: no key, no Prefect server, nothing in the home folder, nothing warm."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.prefect


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


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_after_the_first_run_find_what_it_left(cold_yard):
    yard = cold_yard
    ledger = ("--ledger", yard.ledger)
    rows = [{"job_id": f"job-{n}", "prompt": f"hello {n} [[output_tokens=7]]"} for n in range(5)]
    jobs = yard.jobs([*rows, {"job_id": "heavy", "prompt": "word " * 2_000}])
    options = ("--simulate", "--json", "--max-input-tokens", 500)
    first = yard.weighbridge("run", jobs, *options, "--mode", "batches")
    assert first.code == 0, first.told()
    assert (first.json["jobs"]["succeeded"], first.json["jobs"]["review"]) == (5, 1)

    assert yard.weighbridge("report", "--json", *ledger).json == first.json
    [waiting] = yard.weighbridge("review", "list", "--json", *ledger).json
    approved = yard.weighbridge("review", "approve", waiting["id"], "--by", "ana", "--json", *ledger)
    assert approved.json == {"approved": 1, "refused": []}
    resubmitted = yard.weighbridge("resubmit-approved", "--simulate", "--json")
    assert resubmitted.code == 0, resubmitted.told()
    assert resubmitted.json["jobs"]["succeeded"] == 1
    nothing_left = yard.weighbridge("resubmit-approved", "--simulate", "--json")
    assert (nothing_left.code, nothing_left.json["run_id"]) == (0, ""), nothing_left.told()
    modes = [run["mode"] for run in yard.weighbridge("runs", "--json", *ledger).json]
    assert modes == ["batches", "batches"]

    again = yard.weighbridge("run", jobs, *options)
    assert again.json["from_earlier_runs"] == 6, again.told()
    log = [
        json.loads(line) for line in (yard.folder / "data/simulated/billed.jsonl").read_text().splitlines()
    ]
    assert len({line["payload_sha256"] for line in log}) == len(log) == 6
    assert sum(line["cost_nano_usd"] for line in log) == yard.one("SELECT sum(actual_nano_usd) FROM attempts")
    assert not any(yard.weighbridge("prune-history", "--json", *ledger).json["rows"].values())
