"""`weighbridge run JOBS` and `resubmit-approved`: what reaches the flow, and what is refused before it starts."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import resubmit_approved as resubmit_module
from cli import run as run_module
from flows.nightly_batch import nightly_batch
from flows.resubmit_approved import resubmit_approved
from schemas.errors import RunFailed
from schemas.failures import MayBeBilled
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.report import RunReport


class Flow:
    """Stands for the flow's run: what it was called with, and what it returns or raises."""

    def __init__(self):
        self.calls = []
        self.result = RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE)

    def __call__(self, flow, *arguments, **options):
        self.calls.append((flow, arguments, options))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.fixture
def flow(monkeypatch, tmp_path):
    pq.write_table(pa.table({"job_id": ["a"], "prompt": ["hello"]}), tmp_path / "jobs.parquet")
    called = Flow()
    monkeypatch.setattr(run_module, "result_of", called)
    monkeypatch.setattr(resubmit_module, "result_of", called)
    return called


@pytest.fixture
def call(weighbridge, monkeypatch, flow):
    """The command, with a key."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    return weighbridge


def test_the_options_of_run_reach_the_flow(call, flow):
    ended = call(
        *("run", "jobs.parquet", "--ledger", "sqlite:///x.db", "--results", "out", "--max-input-tokens", 5),
        *("--run-budget-usd", "1.50", "--limit", 3, "--mode", "batches", "--resubmit-approved", "--json"),
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
            },
        )
    ]


def test_what_was_left_out_is_left_to_the_flow(call, flow):
    assert call("run", "jobs.parquet").code == 0
    [(_, _, options)] = flow.calls
    assert {name for name, value in options.items() if value is not None} == {"resubmit_approved"}


def test_the_options_of_resubmit_approved_reach_its_flow(call, flow, ledger):
    assert call("resubmit-approved", "--run-budget-usd", "2", "--mode", "messages", "--json").code == 0
    [(called, arguments, options)] = flow.calls
    assert (called, arguments) == (resubmit_approved, ())
    assert {name: value for name, value in options.items() if value is not None} == {
        "run_budget_usd": "2",
        "mode": "messages",
    }


def test_where_there_is_no_ledger_nothing_was_approved(call, flow, tmp_path):
    ended = call("resubmit-approved", "--json")
    assert ended.code == 2
    assert "There is no ledger" in ended.json["error"]
    assert flow.calls == []
    assert not (tmp_path / "data").exists()


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
