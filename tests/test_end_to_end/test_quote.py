"""A quote through the real command: it spends nothing, counts once, and the run that is held to it agrees."""

import json
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.yards import nano

pytestmark = pytest.mark.prefect

ROWS = 60
HEAVY = {"job_id": "heavy", "prompt": "word " * 40_000}
BROKEN = {"job_id": "broken", "prompt": None}


def rows(number=ROWS, first=0, words=60):
    return [
        {
            "job_id": f"job-{n}",
            "prompt": f"number {n} " + "word " * words + f"[[output_tokens={20 + 7 * n % 90}]]",
            "max_tokens": 400,
            "group": "red" if n % 3 else None,
        }
        for n in range(first, first + number)
    ]


def quoted(yard, jobs, *options, code=0):
    ended = yard.weighbridge("quote", jobs, "--json", "--policy", yard.policy(), *options)
    assert ended.code == code, ended.told()
    return ended.json


def test_a_quote_spends_nothing_and_the_run_held_to_it_counts_nothing_and_falls_inside(yard):
    earlier = yard.jobs(rows(), "earlier.parquet")
    jobs = yard.jobs([*rows(first=100), HEAVY, BROKEN])
    with yard.simulator() as simulator:
        yard.run(earlier, "--policy", yard.policy())
        billed = len(simulator.billed())
        quote = quoted(yard, jobs, code=4)
        assert len(simulator.billed()) == billed
        assert yard.one("SELECT count(*) FROM runs") == 1
        assert yard.one("SELECT count(*) FROM reviews") == 0
        figures = quote["jobs"]
        assert figures == {
            "read": ROWS + 2, "priced": ROWS, "answered": 0, "again": 0, "review": 1, "deferred": 0, "rejected": 1,
            "uncounted": 0, "shared": 0,
        }  # fmt: skip
        own, largest, batches = quote["policies"]
        assert (own["jobs"], own["observed_answers"], own["assumed_jobs"]) == (ROWS, ROWS, 0)
        assert (
            nano(own["p10_usd"])
            <= nano(own["expected_usd"])
            <= nano(own["p90_usd"])
            <= nano(own["worst_usd"])
        )
        assert nano(largest["expected_usd"]) > 2 * nano(own["expected_usd"])
        assert abs(2 * nano(batches["expected_usd"]) - nano(own["expected_usd"])) <= ROWS * 2
        assert sum(nano(one["expected_usd"]) for one in quote["models"]) == nano(own["expected_usd"])
        assert sum(nano(one["expected_usd"]) for one in quote["groups"]) == nano(own["expected_usd"])
        of_jobs = pq.read_table(quote["job_quotes"]).to_pylist()
        assert len(of_jobs) == ROWS + 2
        assert sum(nano(row["expected_usd"]) for row in of_jobs if row["decision"] == "send") == nano(
            own["expected_usd"]
        )

        calls = yard.called()
        report = yard.run(jobs, "--policy", yard.policy(), "--quote", quote["quote_id"], code=4)
        assert yard.called()[0] == calls[0]
        assert (report["jobs"]["succeeded"], report["jobs"]["review"]) == (ROWS, 1)
        assert report["quote"]["quote_id"] == quote["quote_id"]
        assert report["quote"]["inside"] is True
        assert nano(report["usd"]["actual"]) == sum(
            line["cost_nano_usd"] for line in simulator.billed()[billed:]
        )
        assert yard.one("SELECT quote_id FROM runs WHERE run_id = ?", report["run_id"]) == quote["quote_id"]

        answered = quoted(yard, jobs, code=4)
        assert (answered["jobs"]["answered"], answered["jobs"]["priced"]) == (ROWS, 0)
        assert nano(answered["policies"][0]["worst_usd"]) == 0
        assert answered["calls"] == {"count": 0, "message": 0}
        changed = yard.jobs([row | {"max_tokens": 500} for row in rows(first=100)], "changed.parquet")
        again = quoted(yard, changed)
        assert (again["jobs"]["priced"], again["jobs"]["again"]) == (ROWS, ROWS)
        assert again["reasons"] == [{"what": "again", "reason": "with another max_tokens", "jobs": ROWS}]


def test_the_command_that_a_quote_prints_holds_the_run_to_it_as_it_stands(yard):
    rows = [{"ticket": f"t{n}", "text": f"Number {n}"} for n in range(4)]
    (yard.folder / "my night").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        lines = [json.dumps(row | {"ticket": name + row["ticket"]}) for row in rows]
        (yard.folder / "my night" / name).write_text("\n".join(lines))
    options = (
        "--id-column",
        "ticket",
        "--prompt-column",
        "Say: {text}",
        "--max-input-tokens",
        900,
        "--limit",
        6,
    )
    with yard.simulator():
        quote = quoted(yard, "my night/*.jsonl", *options, "--run-budget-usd", "1.5")
        name, verb, *arguments = shlex.split(quote["run_command"])
        assert (name, verb) == ("weighbridge", "run")
        report = yard.run(*arguments)
    assert (report["quote"]["quote_id"], report["jobs"]["succeeded"]) == (quote["quote_id"], 6)
    assert quote["run_command"] in (Path(quote["job_quotes"]).parent / "quote.md").read_text()


def test_a_run_does_not_start_when_its_quote_does_not_hold(yard):
    jobs = yard.jobs(rows(6))
    policy = yard.policy()
    with yard.simulator() as simulator:
        quote = quoted(yard, jobs)["quote_id"]
        dearer = (yard.folder / policy).read_text() + (
            '[[prices]]\nmodel = "claude-haiku-5-5"\ninput_usd_per_mtok = "9"\n'
        )
        (yard.folder / "dearer.toml").write_text(dearer)
        cases = {
            "the policy": (jobs, "--policy", policy, "--max-input-tokens", 10),
            "prices": (jobs, "--policy", "dearer.toml"),
            "other rows": (yard.jobs(rows(7), "other.parquet"), "--policy", policy),
            "--limit": (jobs, "--policy", policy, "--limit", 3),
            "approved": (jobs, "--policy", policy, "--resubmit-approved"),
        }
        for word, arguments in cases.items():
            ended = yard.weighbridge("run", *arguments, "--quote", quote)
            assert ended.code == 2, ended.told()
            assert word in ended.sentence
        assert "nothing was sent" in yard.weighbridge("run", jobs, "--quote", "quote-of-nobody").sentence
        assert simulator.billed() == []
    assert yard.one("SELECT count(*) FROM runs") == 0


def test_caps_in_the_way_are_named_with_the_cap_that_would_do_and_the_run_does_not_start(yard):
    jobs = yard.jobs(rows())
    with yard.simulator() as simulator:
        short = quoted(yard, jobs, "--run-budget-usd", "0.0005", code=3)
        assert short["outcome"] == "budget_stop"
        assert short["jobs"]["deferred"] > 0
        assert short["jobs"]["deferred"] + short["jobs"]["priced"] == ROWS
        [cap] = short["caps"]
        assert (cap["scope"], cap["group"], cap["jobs"]) == ("run", "", short["jobs"]["deferred"])
        ended = yard.weighbridge(
            *(
                "run",
                jobs,
                "--policy",
                yard.policy(),
                "--run-budget-usd",
                "0.0005",
                "--quote",
                short["quote_id"],
            )
        )
        assert ended.code == 2, ended.told()
        assert "run budget" in ended.sentence
        assert simulator.billed() == []
        enough = quoted(yard, jobs, "--run-budget-usd", cap["needed_usd"])
        assert (enough["caps"], enough["jobs"]["deferred"]) == ([], 0)


def test_a_policy_of_ones_own_is_compared_under_its_own_limits(yard):
    jobs = yard.jobs([*rows(10), {"job_id": "long", "prompt": "word " * 3_000}])
    tight = (yard.folder / yard.policy("tight.toml")).read_text() + "[request]\nmax_input_tokens = 1_000\n"
    (yard.folder / "tight.toml").write_text(tight.replace("end-to-end", "tight"))
    with yard.simulator():
        quote = quoted(yard, jobs, "--against", "tight.toml")
    against = quote["policies"][-1]
    assert (against["name"], against["jobs"], against["review"]) == ("tight, messages", 10, 1)
    assert quote["policies"][0]["jobs"] == 11


def test_a_sample_stands_for_the_file_and_says_how_far_it_may_be_off(yard):
    jobs = yard.jobs([*rows(400), *rows(40, first=1_000, words=2_500)])
    with yard.simulator() as simulator:
        whole = quoted(yard, jobs)
        other = {"WEIGHBRIDGE_LEDGER": "sqlite:///sampled.db"}
        ended = yard.weighbridge(
            *("quote", jobs, "--json", "--policy", yard.policy(), "--sample", 80, "--seed", 5), **other
        )
        assert ended.code == 0, ended.told()
        found = ended.json
        assert simulator.billed() == []
        assert (found["jobs"]["read"], found["sample"]["rows"], found["sample"]["of"]) == (440, 80, 440)
        assert found["calls"]["count"] < whole["calls"]["count"] / 4
        expected = nano(whole["policies"][0]["expected_usd"])
        assert nano(found["sample"]["low_usd"]) <= expected <= nano(found["sample"]["high_usd"])
        again = yard.weighbridge(
            *("quote", jobs, "--json", "--policy", yard.policy(), "--sample", 80, "--seed", 5), **other
        ).json
        assert (again["policies"], again["calls"]["count"]) == (found["policies"], 0)
