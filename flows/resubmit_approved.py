"""Resubmit what was approved: each job under its own ceiling, on the same way as in a nightly run."""

from typing import Literal

from prefect import State, flow
from prefect.runtime import deployment, flow_run

from flows.final_state import as_state
from flows.flow_run_name import flow_run_name
from flows.nightly_batch import one_night
from schemas.report import RunReport
from schemas.run import RunOptions


@flow(name="resubmit-approved", flow_run_name=flow_run_name, persist_result=False)
async def resubmit_approved(
    policy: str | None = None,
    ledger: str | None = None,
    results: str | None = None,
    run_budget_usd: str | None = None,
    base_url: str | None = None,
    mode: Literal["messages", "batches"] | None = None,
) -> State[RunReport]:
    """Send every job that a reviewer approved or edited.

    It is counted and priced again, and sent only while it is within the ceiling of its approval and all budgets.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.

    Args:
        policy: A policy file (TOML). Empty: WEIGHBRIDGE_POLICY, or the default policy.
        ledger: A SQLAlchemy URL. Empty: WEIGHBRIDGE_LEDGER, or data/ledger.db.
        results: The folder for results. Empty: WEIGHBRIDGE_RESULTS, or data/results.
        run_budget_usd: The most this run may hold and spend in USD, such as 12.50, whatever the policy says.
        base_url: The API's address. Empty: ANTHROPIC_BASE_URL, or Anthropic's own.
        mode: messages (now) or batches (half the price, within 24 hours). Empty: as the policy says.
    """
    options = RunOptions(
        jobs=None,
        policy=policy,
        ledger=ledger,
        results=results,
        run_budget_usd=run_budget_usd,
        base_url=base_url,
        mode=mode,
        prefect_flow_run_id=flow_run.get_id(),
        deployment=deployment.get_id(),
        resubmit_approved=True,
    )
    return await as_state(one_night(options))
