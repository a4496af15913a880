"""The audit of tools: what the tool definitions of a job file weigh and cost."""

from typing import Literal

from prefect import State, flow
from prefect.states import Completed, Failed

from flows.final_state import NOWHERE, unless_cancelled
from flows.flow_run_name import flow_run_name
from flows.given_options import given_options
from flows.shown_form import shown_form
from schemas.errors import WeighbridgeError
from schemas.forms.flow_forms import ToolAuditForm
from schemas.tool_audit import ToolAudit
from tasks.audit_tools import audit_tools as audit_step
from tasks.start_quote import start_quote


@shown_form(ToolAuditForm)
@flow(
    name="audit-tools",
    flow_run_name=flow_run_name,
    persist_result=False,
    result_storage=NOWHERE,
    validate_parameters=False,
)
async def audit_tools(
    jobs: str,
    policy: str | None = None,
    ledger: str | None = None,
    results: str | None = None,
    limit: int | None = None,
    base_url: str | None = None,
    mode: Literal["messages", "batches"] | None = None,
    id_column: str | None = None,
    prompt_column: str | None = None,
) -> State[ToolAudit]:
    """Say what the tools of a job file's jobs weigh and cost, each and together, and how often each was called.

    Counting is free, and each set is counted once. Nothing is sent, held or parked.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.
    """
    given = dict(locals())
    try:
        options = given_options(ToolAuditForm.checked(given))
        async with start_quote(options, alone=True) as auditing:
            report = await audit_step(auditing, options.prefect_flow_run_id)
    except WeighbridgeError as error:
        return await unless_cancelled(Failed(message=str(error), data=error))
    sets = len(report.tool_sets)
    message = f"{report.jobs_with_tools} of {report.jobs} jobs carry tools, in {sets} sets"
    return await unless_cancelled(Completed(message=message, data=report))
