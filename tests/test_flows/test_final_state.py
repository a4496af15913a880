"""What Prefect shows of a run that has ended."""

from decimal import Decimal

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Completed

from flows import final_state as final_state_module
from flows.final_state import NotComplete, as_state, final_state, unless_cancelled
from schemas.errors import BadInput, NoJobs, RunFailed
from schemas.report import RunReport
from tests.processes import fetch


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


@pytest.fixture
def cancelled(monkeypatch):
    async def asked(_flow_run):
        return True

    monkeypatch.setattr(final_state_module, "is_being_cancelled", asked)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("complete", "everything was done; "), ("budget_stop", "nothing was stopped by it; ")],
)
@pytest.mark.usefixtures("cancelled")
async def test_a_run_that_was_cancelled_at_its_very_end_is_a_cancelled_state_with_its_report(outcome, words):
    report = RunReport(run_id="run-1", outcome=outcome)

    async def work():
        return report

    state = await as_state(work())
    assert (state.type, state.name) == ("CANCELLED", "Cancelled")
    assert words in state.message
    assert "the report is among the artifacts" in state.message
    assert final_state(report).message in state.message
    result = await state.aresult(raise_on_failure=False)
    assert getattr(result, "report", result) is report


@pytest.mark.usefixtures("cancelled")
async def test_what_could_not_start_and_was_cancelled_has_its_sentence_and_no_report():
    async def work():
        raise BadInput("The column x is wrong.")

    state = await as_state(work())
    assert state.type == "CANCELLED"
    assert state.message.endswith("The column x is wrong.")
    assert "artifacts" not in state.message


async def test_outside_of_a_flow_run_nothing_is_cancelled():
    state = Completed(message="done")
    assert await unless_cancelled(state) is state


@flow(persist_result=False)
async def cancelled_at_its_end():
    """A run that somebody cancels when its work has just been done."""

    async def work():
        async with get_client() as client:
            await client.set_flow_run_state(flow_run.get_id(), Cancelling(), force=True)
        return RunReport(run_id="run-1", outcome="complete")

    return await as_state(work())


@pytest.mark.prefect
async def test_prefect_takes_the_end_of_a_run_that_was_cancelled_too_late(prefect_api):
    with temporary_settings({PREFECT_API_URL: prefect_api}):
        state = await cancelled_at_its_end(return_state=True)
    shown = fetch(f"{prefect_api}/flow_runs/{state.state_details.flow_run_id}")["state"]
    assert shown["type"] == "CANCELLED"
    assert shown["message"].startswith("cancelled after the last job had ended: everything was done; ")
