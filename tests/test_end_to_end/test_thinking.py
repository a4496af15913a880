"""Efforts through the real command: a sample at an effort is paid for, and a quote compares what was measured."""

import json
import shlex

import pytest

from tests.yards import nano

pytestmark = pytest.mark.prefect

ROWS = 24
ADAPTIVE = '{"type": "adaptive"}'


def rows(number=ROWS, **more):
    """Hard requests of one model, of which each names no effort."""
    return [
        {
            "job_id": f"job-{n}",
            "prompt": f"number {n} " + "word " * (1_800 + n),
            "max_tokens": 16_000,
            "thinking": ADAPTIVE,
            "model": "claude-opus-5-5",
        }
        | more
        for n in range(number)
    ]


def test_a_sample_at_an_effort_pays_for_the_drawn_rows_alone_and_an_ordinary_run_pays_for_them_again(yard):
    jobs, policy = yard.jobs(rows()), yard.policy()
    sampled = ("--policy", policy, "--sample", 5, "--effort", "high")
    with yard.simulator() as simulator:
        report = yard.run(jobs, *sampled)
        assert (report["jobs"]["read"], report["jobs"]["succeeded"]) == (5, 5)
        assert len(simulator.billed()) == 5
        yard.assert_agreement(report, simulator.billed())
        drawn = yard.rows("SELECT row_number, job_id, effort FROM attempts ORDER BY row_number")
        assert {row["effort"] for row in drawn} == {"high"}
        assert [row["job_id"] for row in drawn] == [f"job-{row['row_number']}" for row in drawn]
        [taught] = report["taught"]
        assert (taught["payload_class"], taught["effort"], taught["n"]) == ("thinking", "high", 5)

        # the same rows for the same seed: they were answered
        again = yard.run(jobs, *sampled)
        assert (again["from_earlier_runs"], len(simulator.billed())) == (5, 5)
        assert again["sample"] == report["sample"]
        assert yard.run(jobs, *sampled, "--seed", 2)["from_earlier_runs"] < 5
        billed = len(simulator.billed())
        whole = yard.run(jobs, "--policy", policy)
        assert whole["sample"] is None
        assert (whole["from_earlier_runs"], len(simulator.billed())) == (0, billed + ROWS)


def test_an_effort_that_cannot_be_asked_for_is_refused_before_anything_is_counted(yard):
    jobs = yard.jobs(rows(3))
    yard.policy("old.toml", small="claude-haiku-4-5")
    routes = (yard.folder / "old.toml").read_text()
    for name in ("claude-sonnet-5-5", "claude-opus-5-5"):
        routes = routes.replace(name, "claude-haiku-4-5-20251001")
    (yard.folder / "old.toml").write_text(routes)
    cases = {
        "should be 'low', 'medium', 'high', 'xhigh' or 'max'": ("--effort", "extreme"),
        "type enabled is refused by claude-haiku-5-5": ("--thinking-budget", 2_000),
        "two ways to think": ("--thinking-budget", 2_000, "--effort", "low"),
        "refused by claude-haiku-4-5 and claude-haiku-4-5-20251001 (leave effort out": (
            "--effort",
            "high",
            "--policy",
            "old.toml",
        ),
        "what was approved is sent as it was approved": ("--sample", 2, "--resubmit-approved"),
        "about all rows of the job file as they are": ("--effort", "high", "--quote", "quote-1"),
    }
    with yard.simulator():
        for words, options in cases.items():
            ended = yard.weighbridge("run", jobs, "--policy", yard.policy(), *options)
            assert ended.code == 2, ended.told()
            assert words in ended.sentence
            assert "Nothing was counted or sent" in ended.sentence
        assert yard.called()[0] == 0
        mixed = yard.jobs([*rows(2), *rows(1, job_id="old", model="claude-haiku-4-5", thinking=None)])
        report = yard.run(mixed, "--policy", yard.policy(), "--effort", "high", code=4)
    assert (report["jobs"]["succeeded"], report["jobs"]["rejected"]) == (2, 1)
    assert "effort high is refused by claude-haiku-4-5" in json.dumps(report["rows_to_mend"])


def quoted(yard, jobs):
    ended = yard.weighbridge("quote", jobs, "--json", "--policy", yard.policy())
    assert ended.code == 0, ended.told()
    return ended.json


def named(way):
    return way["effort"] or way["budget_tokens"]


def test_a_quote_compares_what_was_measured_and_names_the_command_for_what_was_not(yard):
    budget = {"thinking": '{"type": "enabled", "budget_tokens": 8000}', "model": "claude-sonnet-4-6"}
    old = [
        row | budget | {"job_id": f"old-{n}", "prompt": f"Why {n}? " * 20} for n, row in enumerate(rows(2))
    ]
    jobs = yard.jobs([*rows(), *old])
    with yard.simulator():
        first = quoted(yard, jobs)["thinking"]
        opus = [way for way in first if way["model"] == "claude-opus-5-5"]
        assert [named(way) for way in opus] == [None, "low", "medium", "high", "xhigh", "max"]
        sonnet = [way for way in first if way["model"] == "claude-sonnet-4-6"]
        assert [named(way) for way in sonnet] == ["low", "medium", "high", "max", 2_000, 8_000]
        assert {(way["answers"], way["expected_usd"], way["mean_output"]) for way in first} == {
            (0, None, None)
        }
        assert {(way["jobs"], way["as_asked"]) for way in opus} == {(ROWS, 0), (ROWS, ROWS)}
        assert [named(way) for way in sonnet if way["as_asked"]] == [8_000]
        assert len({way["worst_usd"] for way in opus}) == 1

        for effort in ("medium", "high"):
            [command] = {way["measure"] for way in opus if way["effort"] == effort}
            name, verb, *options = shlex.split(command)
            assert (name, verb) == ("weighbridge", "run")
            report = yard.run(*options)
            assert (report["jobs"]["read"], report["jobs"]["succeeded"]) == (20, 20)
            sample = report["sample"]
            assert (sample["rows"], sample["effort"], sample["answers"], sample["seed"]) == (
                20,
                effort,
                20,
                1,
            )
            assert sample["mean_output"] > sample["mean_thinking"] > 0
            assert sample["p95_output"] >= sample["mean_output"]
            assert 20 * nano(sample["usd_per_job"]) - nano(report["usd"]["actual"]) in range(20)
            cap = options[options.index("--run-budget-usd") + 1]
            assert nano(report["usd"]["worst_case"]) <= nano(cap)

        second = {
            named(way): way for way in quoted(yard, jobs)["thinking"] if way["model"] == "claude-opus-5-5"
        }
        observed = {name: way for name, way in second.items() if way["answers"]}
        assert list(observed) == ["medium", "high"]
        assert all(way["measure"] is None for way in observed.values())
        # on hard requests this model thinks less at high than at medium
        assert observed["medium"]["mean_output"] > observed["high"]["mean_output"]
        for effort, way in observed.items():
            lengths = [
                row["actual_output_tokens"]
                for row in yard.rows(
                    "SELECT actual_output_tokens FROM attempts WHERE effort = ? AND model = ? ORDER BY 1",
                    effort,
                    "claude-opus-5-5",
                )
            ]
            assert way["answers"] == len(lengths) > 10
            assert way["mean_output"] == -(-sum(lengths) // len(lengths))
            assert way["p95_output"] in lengths
            assert 0 < nano(way["expected_usd"]) < nano(way["worst_usd"])
        for name in (None, "low", "xhigh", "max"):
            assert (second[name]["answers"], second[name]["expected_usd"]) == (0, None)
        shown = yard.weighbridge("quote", jobs, "--policy", yard.policy())
    assert "claude-opus-5-5, thinking, effort xhigh: weighbridge run" in shown.out
    assert second["low"]["measure"] in shown.out
    assert "--thinking-budget 2000 --run-budget-usd" in shown.out


def test_a_budget_is_measured_by_the_command_that_the_quote_names(yard):
    asked = {"thinking": '{"type": "enabled", "budget_tokens": 8000}', "model": None, "prompt": "Why? " * 20}
    jobs = yard.jobs(
        [
            row | asked | {"job_id": f"job-{n}", "prompt": f"{n} " + asked["prompt"]}
            for n, row in enumerate(rows(4))
        ]
    )
    policy = (yard.folder / yard.policy(small="claude-sonnet-4-6")).read_text()

    def quoted_ways():
        (yard.folder / "old.toml").write_text(policy)
        ended = yard.weighbridge("quote", jobs, "--json", "--policy", "old.toml")
        assert ended.code == 0, ended.told()
        return {named(way): way for way in ended.json["thinking"]}

    with yard.simulator():
        before = quoted_ways()
        assert {name: way["as_asked"] for name, way in before.items() if way["as_asked"]} == {8_000: 4}
        options = shlex.split(before[2_000]["measure"])[2:]
        report = yard.run(*options)
        assert (report["sample"]["thinking_budget"], report["sample"]["answers"]) == (2_000, 4)
        after = quoted_ways()
    assert {name: way["answers"] for name, way in after.items() if way["answers"]} == {2_000: 4}
    assert after[2_000]["mean_output"] == report["sample"]["mean_output"]
