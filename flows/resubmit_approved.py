"""Resubmit what was approved: each job under its own ceiling, on the same way as in a nightly run."""

from typing import Any, Literal

from prefect import State, flow

from flows.final_state import NOWHERE, as_state
from flows.flow_run_name import flow_run_name
from flows.given_options import given_options
from flows.nightly_batch import one_night
from flows.shown_form import shown_form
from schemas.forms.flow_forms import ResubmitForm
from schemas.report import RunReport


@shown_form(ResubmitForm)
@flow(
    name="resubmit-approved",
    flow_run_name=flow_run_name,
    persist_result=False,
    result_storage=NOWHERE,
    validate_parameters=False,
)
async def resubmit_approved(
    policy: str | None = None,
    ledger: str | None = None,
    results: str | None = None,
    run_budget_usd: str | None = None,
    base_url: str | None = None,
    mode: Literal["messages", "batches"] | None = None,
) -> State[RunReport]:
    """Send every job that a reviewer approved or edited.

    It is counted and priced again, and sent only while it is within the ceiling of its approval and all budgets. Where
    nothing is approved there is no run.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.
    """
    return await as_state(_approved_jobs(dict(locals())), allow_no_jobs=True)


async def _approved_jobs(parameters: dict[str, Any]) -> RunReport:
    asked = ResubmitForm.checked(parameters)
    return await one_night(given_options(asked | {"jobs": None, "resubmit_approved": True}))
