"""What the state of a run's flow run says: its name, its colour, and what to do."""

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.shown_state import StateName, cancelled_message, shown_state
from schemas.outcome import EXIT_CODES, Outcome, RunOutcome
from schemas.report import (
    CapToRaise,
    DeferredFigures,
    JobFigures,
    PassedCap,
    Places,
    ReasonFigures,
    RunReport,
)


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


def short_of_money(reason="run_budget", **more):
    """The report of a run that deferred two jobs for want of money."""
    ended = report("budget_stop", succeeded=1, deferred=2, rejected=1, reasons=[("deferred", reason, 2)])
    ended.deferred_for_money = DeferredFigures(
        **{"jobs": 2, "unpriced": 0, "expected_usd": "0.25", "worst_usd": "1", "caps": []} | more
    )
    return ended


FIRST = "start the run again: the rest fits"
TOO_LOW = CapToRaise(setting="run.budget_usd", cap_usd="0.1", used_usd="0", needed_usd="0.5", enough_usd="1")


def test_where_the_rest_fits_into_a_new_run_that_is_said_first_and_it_stays_red():
    state = shown_state(short_of_money())
    assert state.to_do[0] == FIRST
    assert state.to_do[1].startswith("2 jobs are deferred for want of money (run budget): they need 0.25 USD")
    assert (state.name, state.failed) == ("BudgetStop", True)


@pytest.mark.parametrize(
    "ended",
    [
        short_of_money(caps=[TOO_LOW]),
        short_of_money(unpriced=1),
        short_of_money("provider_spend_limit"),
        short_of_money("bills_over_holds"),
    ],
    ids=["cap too low", "no price", "provider's limit", "bills over holds"],
)
def test_what_needs_a_hand_first_is_not_sent_off_again(ended):
    assert FIRST not in shown_state(ended).to_do


def test_each_command_that_is_hinted_at_leads_to_the_ledger_of_the_run():
    ended = report(
        "budget_stop",
        review=1,
        unknown=1,
        deferred=1,
        reasons=[("deferred", "bills_over_holds", 1)],
    )
    ended.caps_passed = [
        PassedCap(scope="day", period="d", group=None, cap_usd="1", settled_usd="2", over_usd="1")
    ]
    ended.places = Places(ledger="sqlite:////a b/ledger.db", results="/r", report="/r/report.md")
    hints = re.findall(r"`(weighbridge [^`]+)`", shown_state(ended).message)
    assert {hint.partition(" --ledger")[0] for hint in hints} == {
        "weighbridge check-bill",
        "weighbridge review holds",
        "weighbridge review list",
    }
    for hint in hints:
        assert shlex.split(hint)[-2:] == ["--ledger", "sqlite:////a b/ledger.db"]
    ended.places.ledger = "postgresql+psycopg://weighbridge:***@db/weighbridge"
    assert '--ledger "$WEIGHBRIDGE_LEDGER"' in shown_state(ended).message
    assert ":***@" not in shown_state(ended).message


def test_a_run_that_was_cancelled_too_late_says_so_and_where_its_report_is():
    done = cancelled_message("run-1: 3 of 3 jobs succeeded", is_complete=True, has_report=True)
    assert done == (
        "cancelled after the last job had ended: everything was done; the report is among the artifacts of this flow run; "
        "run-1: 3 of 3 jobs succeeded"
    )
    assert "everything was done" not in cancelled_message("m", is_complete=False, has_report=True)
    assert "report" not in cancelled_message("No key.", is_complete=False, has_report=False)


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
