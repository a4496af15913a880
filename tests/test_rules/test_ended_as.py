"""How a run ended: the list of runs, the report and Prefect's state say the same."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.ended_as import FATAL_REASONS, ended_as, failure_sentence, stands_as
from rules.report_text import title
from rules.run_outcome import RunFacts, run_outcome
from rules.shown_state import StateName, shown_state
from schemas.looked_up import RunLine
from schemas.outcome import Outcome, Reason, RunOutcome
from schemas.report import JobFigures, ReasonFigures, RunReport


def line(report=None, outcome=None, *, is_left=False):
    now = datetime(2026, 11, 27, tzinfo=UTC)
    kept = None if report is None else json.loads(report.model_dump_json())
    outcome = outcome if report is None else report.outcome
    return RunLine("run-1", now, now, "jobs.parquet", "messages", False, outcome, 1, 0, 0, is_left, kept)


def a_report(reason, in_review):
    deferred = set() if reason is None else {reason}
    rows = {Outcome.DEFERRED: len(deferred), Outcome.REVIEW: in_review}
    reasons = [
        ReasonFigures(outcome=Outcome.DEFERRED, reason=one, jobs=1, example_job_id=None, example_detail=None)
        for one in deferred
    ]
    return RunReport(
        run_id="run-1",
        outcome=run_outcome(RunFacts(rows, {Outcome.DEFERRED: deferred})),
        error=failure_sentence(deferred),
        jobs=JobFigures(read=sum(rows.values()), deferred=len(deferred), review=in_review),
        reasons=reasons,
    )


@given(st.none() | st.sampled_from(list(Reason)), st.integers(0, 2))
def test_the_list_of_runs_says_what_the_report_and_the_state_say(reason, in_review):
    report = a_report(reason, in_review)
    words = ended_as(report)
    assert stands_as(line(report)) == words
    assert title(report) == f"run-1: {words}"
    name = shown_state(report).name
    assert words.startswith(
        {
            StateName.COMPLETED: "complete",
            StateName.NEEDS_REVIEW: "complete, needs review",
            StateName.BUDGET_STOP: "budget stop",
            StateName.INCOMPLETE: "incomplete",
            StateName.FAILED: "failed",
        }[name]
    )
    assert ("needs review" in words) == (name is StateName.NEEDS_REVIEW)


@pytest.mark.parametrize("reason", FATAL_REASONS)
def test_a_failed_run_says_what_ended_it(reason):
    assert ended_as(a_report(reason, 1)) == f"failed, {reason.replace('_', ' ')}"


def test_a_run_without_a_report_is_said_by_its_outcome_alone():
    assert [stands_as(line(outcome=one)) for one in RunOutcome] == [
        "complete",
        "budget stop",
        "incomplete",
        "failed",
    ]


def test_a_run_that_nobody_works_on_is_not_one_that_goes_on():
    assert stands_as(line()) == "not ended"
    assert stands_as(line(is_left=True)) == "interrupted, not collected"
