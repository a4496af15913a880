"""Efforts through the real command: a sample at an effort is paid for once."""

import json

import pytest

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
        assert yard.run(jobs, *sampled, "--seed", 2)["from_earlier_runs"] < 5
        billed = len(simulator.billed())
        whole = yard.run(jobs, "--policy", policy)
        assert (whole["from_earlier_runs"], len(simulator.billed())) == (0, billed + ROWS)


def test_an_effort_that_cannot_be_asked_for_is_refused_before_anything_is_counted(yard):
    jobs = yard.jobs(rows(3))
    yard.policy("old.toml", small="claude-haiku-4-5")
    routes = (yard.folder / "old.toml").read_text()
    for name in ("claude-sonnet-5-5", "claude-opus-5-5"):
        routes = routes.replace(name, "claude-haiku-4-5-20251001")
    (yard.folder / "old.toml").write_text(routes)
    cases = {
        "none that the API knows": ("--effort", "extreme"),
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
