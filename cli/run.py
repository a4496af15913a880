"""`weighbridge run JOBS`."""

from typing import Annotated

import typer

from cli.in_flow import check_input, endpoint, places, result_of, run_and_report
from cli.options import (
    JsonOption,
    LedgerOption,
    ModeOption,
    PolicyOption,
    ResultsOption,
    RunBudgetOption,
    SimulateOption,
)
from flows.nightly_batch import nightly_batch


def run(
    jobs: Annotated[
        str, typer.Argument(help="A Parquet file, a folder of them, or a glob; {date} stands for the day.")
    ],
    policy: PolicyOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    max_input_tokens: Annotated[
        int | None, typer.Option(min=1, help="A job with more input tokens than this goes to review.")
    ] = None,
    run_budget_usd: RunBudgetOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Read at most this many rows.")] = None,
    mode: ModeOption = None,
    resubmit_approved: Annotated[
        bool, typer.Option("--resubmit-approved", help="Also send the jobs that reviewers approved.")
    ] = False,
    quote: Annotated[
        str | None,
        typer.Option(
            help="The id of a quote; refuse to start when it does not hold any more, or a cap is below it."
        ),
    ] = None,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Weigh every job, send what fits, park the rest for review, and report what it cost.

    The exit code is 0 when the run is complete, 2 for bad arguments or input, 3 when a budget ran out, 4 when jobs
    were rejected, failed or have an unknown outcome, and 1 for anything else.
    """
    ledger, folder = places(ledger, results, simulate=simulate)
    policy_path = str(policy) if policy else None
    mode_name = mode.value if mode else None

    def work() -> object:
        check_input(jobs, policy)
        with endpoint(simulate=simulate) as base_url:
            return result_of(
                nightly_batch,
                jobs,
                policy=policy_path,
                ledger=ledger,
                results=folder,
                max_input_tokens=max_input_tokens,
                run_budget_usd=run_budget_usd,
                limit=limit,
                base_url=base_url,
                mode=mode_name,
                resubmit_approved=resubmit_approved,
                quote=quote,
            )

    run_and_report(work, as_json=as_json)
