"""`weighbridge resubmit-approved`."""

import typer

from cli.in_flow import endpoint, places, result_of, run_and_report
from cli.options import (
    JsonOption,
    LedgerOption,
    ModeOption,
    PolicyOption,
    ResultsOption,
    RunBudgetOption,
    SimulateOption,
)
from schemas.settings import Settings
from services.policy_file import read_policy


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("resubmit-approved")(resubmit_approved)


def resubmit_approved(
    policy: PolicyOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    run_budget_usd: RunBudgetOption = None,
    mode: ModeOption = None,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send what reviewers approved, each job under its own ceiling; the same JSON and exit codes as `run`."""
    ledger, folder = places(ledger, results, simulate=simulate)

    def work() -> object:
        read_policy(policy or Settings().policy)
        with endpoint(simulate=simulate) as base_url:
            from flows import resubmit_approved as flow  # noqa: PLC0415 - Prefect is imported after its settings

            return result_of(
                flow.resubmit_approved,
                policy=str(policy) if policy else None,
                ledger=ledger,
                results=folder,
                run_budget_usd=run_budget_usd,
                base_url=base_url,
                mode=mode.value if mode else None,
            )

    run_and_report(work, as_json=as_json)
