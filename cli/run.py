"""`weighbridge run JOBS`."""

from typing import Annotated

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
from services.job_file import JobFile
from services.policy_file import read_policy


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("run")(run)


def run(
    jobs: Annotated[str, typer.Argument(help="A Parquet file, a folder of them, or a glob.")],
    policy: PolicyOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    max_input_tokens: Annotated[
        int | None, typer.Option(min=1, help="A job over so many input tokens goes to review.")
    ] = None,
    run_budget_usd: RunBudgetOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")] = None,
    mode: ModeOption = None,
    resubmit_approved: Annotated[
        bool, typer.Option("--resubmit-approved", help="Also send what reviewers approved.")
    ] = False,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Weigh every job, send what fits, park the rest for review, reconcile the bill.

    Ends with 0 when complete, 2 on bad arguments or input, 3 on a budget stop, 4 when jobs were rejected, failed or
    are of unknown outcome, 1 on anything else.
    """
    ledger, folder = places(ledger, results, simulate=simulate)

    def work() -> object:
        # what is plainly wrong is said at once, before a Prefect server starts
        JobFile(jobs)
        read_policy(policy or Settings().policy)
        with endpoint(simulate=simulate) as base_url:
            from flows.nightly_batch import nightly_batch  # noqa: PLC0415 - Prefect is imported after its settings

            return result_of(
                nightly_batch,
                jobs,
                policy=str(policy) if policy else None,
                ledger=ledger,
                results=folder,
                max_input_tokens=max_input_tokens,
                run_budget_usd=run_budget_usd,
                limit=limit,
                base_url=base_url,
                mode=mode.value if mode else None,
                resubmit_approved=resubmit_approved,
            )

    run_and_report(work, as_json=as_json)
