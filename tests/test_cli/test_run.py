"""`weighbridge run JOBS`: what reaches the flow, and what is refused before it starts."""

import pytest

from flows.nightly_batch import nightly_batch
from schemas.errors import RunFailed
from schemas.failures import MayBeBilled
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.report import RunReport


def test_the_options_of_run_reach_the_flow(call, flow):
    ended = call(
        *("run", "jobs.parquet", "--ledger", "sqlite:///x.db", "--results", "out", "--max-input-tokens", 5),
        *(
            "--run-budget-usd",
            "1.50",
            "--limit",
            3,
            "--mode",
            "batches",
            "--resubmit-approved",
            "--quote",
            "quote-1",
            "--deadline",
            "06:30",
            "--move-done",
            "done",
            "--json",
        ),
        *("--effort", "high", "--thinking-budget", 2000, "--sample", 20, "--seed", 3),
        *("--id-column", "job_id", "--prompt-column", "{prompt}"),
        *("--runner", "dask", "--workers", 2, "--dask-address", "tcp://10.0.0.5:8786"),
    )
    assert (ended.code, ended.json["run_id"]) == (0, "run-1")
    assert flow.calls == [
        (
            nightly_batch,
            ("jobs.parquet",),
            {
                "policy": None,
                "ledger": "sqlite:///x.db",
                "results": "out",
                "max_input_tokens": 5,
                "run_budget_usd": "1.50",
                "limit": 3,
                "base_url": None,
                "mode": "batches",
                "resubmit_approved": True,
                "quote": "quote-1",
                "effort": "high",
                "thinking_budget": 2000,
                "sample": 20,
                "seed": 3,
                "id_column": "job_id",
                "prompt_column": "{prompt}",
                "deadline": "06:30",
                "runner": "dask",
                "workers": 2,
                "dask_address": "tcp://10.0.0.5:8786",
                "move_done": "done",
            },
        )
    ]


def test_what_was_left_out_is_left_to_the_flow(call, flow):
    assert call("run", "jobs.parquet").code == 0
    [(_, _, options)] = flow.calls
    assert {name for name, value in options.items() if value is not None} == {"resubmit_approved", "seed"}


@pytest.mark.parametrize("outcome", list(RunOutcome))
def test_the_exit_code_is_that_of_the_outcome(call, flow, outcome):
    flow.result = RunReport(run_id="run-1", outcome=outcome)
    assert call("run", "jobs.parquet").code == EXIT_CODES[outcome]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["missing.parquet"], "missing.parquet"),
        (["jobs.parquet", "--policy", "missing.toml"], "missing.toml"),
    ],
)
def test_plain_mistakes_are_reported_before_the_flow_starts(call, flow, arguments, word):
    ended = call("run", *arguments, "--json")
    assert ended.code == 2
    assert ended.json["outcome"] == "failed"
    assert word in ended.json["error"]
    assert word in ended.sentence
    assert flow.calls == []


def test_without_a_key_the_flow_does_not_start(weighbridge, flow):
    ended = weighbridge("run", "jobs.parquet", "--json")
    assert ended.code == 2
    assert "--simulate" in ended.json["error"]
    assert flow.calls == []


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (RunFailed("The ledger does not answer."), "The ledger does not answer."),
        (MayBeBilled("HTTP 504"), "HTTP 504. What was held or settled is kept"),
        (ZeroDivisionError("secret"), "an unexpected ZeroDivisionError ended the command"),
    ],
)
def test_a_flow_that_fails_still_prints_one_json_object(call, flow, error, word):
    flow.result = error
    ended = call("run", "jobs.parquet", "--json")
    assert ended.code == 1
    assert ended.json["outcome"] == "failed"
    assert word in ended.json["error"]
    assert word in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    "options", [["--max-input-tokens", "0"], ["--limit", "some"], ["--mode", "slow"], ["--policey", "x"]]
)
def test_options_that_cannot_be_end_with_2(call, flow, options):
    assert call("run", "jobs.parquet", *options).code == 2
    assert flow.calls == []
