"""What Prefect shows of a run that has ended."""

from decimal import Decimal

import pytest

from flows.final_state import NotComplete, as_state, final_state
from schemas.errors import BadInput, NoJobs, RunFailed
from schemas.report import RunReport


@pytest.mark.parametrize(
    ("usd", "shown"), [("0E-9", "0.000000000 USD"), ("1E+2", "100 USD"), ("0.0123", "0.0123 USD")]
)
def test_an_amount_is_shown_without_an_exponent(usd, shown):
    report = RunReport(run_id="run-1", outcome="complete")
    report.usd.actual = Decimal(usd)
    assert final_state(report).message.endswith(f" {shown}")


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        ("complete", ("COMPLETED", "Completed")),
        ("budget_stop", ("FAILED", "BudgetStop")),
        ("incomplete", ("FAILED", "Incomplete")),
        ("failed", ("FAILED", "Failed")),
    ],
)
async def test_a_run_that_needs_a_hand_is_a_failed_state_by_name_and_its_result_has_the_report(
    outcome, shown
):
    report = RunReport(run_id="run-1", outcome=outcome)
    state = final_state(report)
    assert (state.type, state.name) == shown
    result = await state.aresult(raise_on_failure=False)
    if state.is_completed():
        assert result is report
        return
    assert result.report is report
    with pytest.raises(NotComplete, match="run-1: 0 of 0 jobs"):
        await state.aresult()


async def test_a_run_that_failed_is_a_failed_state_with_its_sentence():
    async def work():
        raise RunFailed("The ledger is full.")

    state = await as_state(work())
    assert (state.type, state.message) == ("FAILED", "The ledger is full.")


@pytest.mark.parametrize(
    ("error", "allowed", "kind", "words"),
    [
        (
            NoJobs("There is no file x."),
            True,
            "COMPLETED",
            "There was nothing to do: There is no file x. Nothing",
        ),
        (NoJobs("There is no file x."), False, "FAILED", "There is no file x."),
        (BadInput("The column x is wrong."), True, "FAILED", "The column x is wrong."),
    ],
)
async def test_a_night_without_input_is_complete_only_where_that_is_allowed(error, allowed, kind, words):
    async def work():
        raise error

    state = await as_state(work(), allow_no_jobs=allowed)
    assert state.type == kind
    assert state.message.startswith(words)
