"""`weighbridge resubmit-approved`: what reaches the flow, and what is refused before it starts."""

import pytest

from flows.resubmit_approved import resubmit_approved
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.report import RunReport


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
def test_the_exit_code_is_that_of_the_outcome(call, flow, ledger, outcome):
    flow.result = RunReport(run_id="run-1", outcome=outcome)
    assert call("resubmit-approved").code == EXIT_CODES[outcome]


def test_where_nothing_is_approved_it_says_so_and_prints_no_report(call, flow, ledger):
    flow.result = RunReport(run_id="", outcome=RunOutcome.COMPLETE)
    ended = call("resubmit-approved")
    assert (ended.code, ended.out) == (
        0,
        "There was nothing to do: No review is approved or edited. Nothing was counted or sent.\n",
    )


def test_a_policy_that_is_not_there_is_reported_before_the_flow_starts(call, flow, ledger):
    ended = call("resubmit-approved", "--policy", "missing.toml", "--json")
    assert ended.code == 2
    assert "missing.toml" in ended.json["error"]
    assert flow.calls == []


def test_without_a_key_the_flow_does_not_start(weighbridge, flow, ledger):
    ended = weighbridge("resubmit-approved")
    assert ended.code == 2
    assert "ANTHROPIC_API_KEY" in ended.sentence
    assert flow.calls == []
