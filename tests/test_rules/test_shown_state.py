"""What the state of a run's flow run says: its name, its colour, and what to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.shown_state import StateName, shown_state
from schemas.outcome import EXIT_CODES, Outcome, RunOutcome
from schemas.report import JobFigures, PassedCap, ReasonFigures, RunReport


def reason(outcome, why, jobs):
    return ReasonFigures(outcome=outcome, reason=why, jobs=jobs, example_job_id="a", example_detail="why")


def report(outcome="complete", reasons=(), **jobs):
    read = sum(jobs.values())
    return RunReport(
        run_id="run-1",
        outcome=outcome,
        jobs=JobFigures(read=read, **jobs),
        reasons=[reason(*one) for one in reasons],
    )


@pytest.mark.parametrize(
    ("ended", "name"),
    [
        (report(succeeded=3), "Completed"),
        (report(succeeded=3, rejected=1, reasons=[("rejected", "rejected_by_reviewer", 1)]), "Completed"),
        (report(succeeded=3, review=1), "NeedsReview"),
        (report("budget_stop", succeeded=3, deferred=1), "BudgetStop"),
        (report("budget_stop", succeeded=3, deferred=1, review=1, rejected=1), "BudgetStop"),
        (report("incomplete", succeeded=3, failed=1, review=1), "Incomplete"),
        (report("failed", succeeded=3, deferred=1), "Failed"),
    ],
)
def test_the_name_says_what_the_run_needs(ended, name):
    assert shown_state(ended).name == name


def test_there_is_a_state_for_each_outcome_and_it_counts_as_failed_where_the_exit_code_is_not_0():
    shown = {outcome: shown_state(report(outcome, succeeded=1)) for outcome in RunOutcome}
    assert {outcome: state.failed for outcome, state in shown.items()} == {
        outcome: EXIT_CODES[outcome] != 0 for outcome in RunOutcome
    }
    assert {state.name for state in shown.values()} == set(StateName) - {StateName.NEEDS_REVIEW}


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (report(succeeded=3), []),
        (
            report(succeeded=1, review=2),
            ["2 jobs wait for a person: decide with `weighbridge review list`"],
        ),
        (
            report("incomplete", succeeded=1, rejected=1, reasons=[("rejected", "invalid_row", 1)]),
            ["1 job was rejected: fix the rows that the report names"],
        ),
        (
            report(
                "incomplete",
                succeeded=1,
                rejected=3,
                unknown=2,
                failed=1,
                deferred=4,
                reasons=[
                    ("rejected", "invalid_row", 2),
                    ("rejected", "rejected_by_reviewer", 1),
                    ("deferred", "in_flight_elsewhere", 4),
                ],
            ),
            [
                "2 jobs were rejected: fix the rows that the report names",
                "2 jobs have an unknown outcome and may have been billed: see `weighbridge review holds`",
                "1 job was not answered and not billed: run again",
                "4 jobs are deferred: the next run takes them up",
            ],
        ),
        (
            report("incomplete", review=5, reasons=[("review", "impossible_count", 5)]),
            [
                "5 jobs have a count that cannot be right: check the endpoint of count_tokens",
                "5 jobs wait for a person",
            ],
        ),
        (
            report(
                "budget_stop",
                succeeded=1,
                deferred=3,
                reasons=[("deferred", "day_budget", 2), ("deferred", "in_flight_elsewhere", 1)],
            ),
            ["2 jobs are deferred for want of money (day budget)", "1 job is deferred: the next run"],
        ),
    ],
)
def test_the_message_says_what_happened_and_what_to_do(ended, words):
    head, *to_do = shown_state(ended).message.split("; ")
    assert head == f"run-1: {ended.jobs.succeeded} of {ended.jobs.read} jobs succeeded, 0 USD"
    assert len(to_do) == len(words)
    for part, wanted in zip(to_do, words, strict=True):
        assert part.startswith(wanted)


def test_a_cap_that_a_bill_passed_is_named_with_what_it_is_over():
    ended = report("budget_stop", succeeded=1)
    ended.caps_passed = [
        PassedCap(
            scope="day",
            period="2026-11-27",
            group="red",
            cap_usd="1",
            settled_usd="1.25",
            over_usd="0.25",
        )
    ]
    assert "0.25 USD above the day budget of the group red" in shown_state(ended).message


def test_a_run_that_ended_early_says_why():
    ended = report("failed", deferred=3)
    ended.error = "The API key was not accepted."
    assert shown_state(ended).message == "The API key was not accepted."


@given(
    st.sampled_from(RunOutcome),
    st.fixed_dictionaries({outcome.value: st.integers(0, 3) for outcome in Outcome}),
)
def test_only_a_run_of_which_nothing_is_left_to_do_has_nothing_to_do(outcome, jobs):
    ended = report(outcome, **jobs)
    left = sum(number for name, number in jobs.items() if name != "succeeded")
    assert ("; " in shown_state(ended).message) is (bool(left) and outcome is not RunOutcome.FAILED)
