"""`weighbridge run JOBS`."""

from typing import Annotated

import typer

from cli.check_input import check_input
from cli.in_flow import endpoint, places, result_of, run_and_report
from cli.options import (
    DeadlineOption,
    EffortOption,
    IdColumnOption,
    JobsArgument,
    JsonOption,
    LedgerOption,
    MaxInputTokensOption,
    ModeOption,
    PolicyOption,
    PromptColumnOption,
    QuoteOption,
    ResultsOption,
    RunBudgetOption,
    SampleOption,
    SeedOption,
    SimulateOption,
    ThinkingBudgetOption,
)
from flows.nightly_batch import nightly_batch
from schemas.forms.bounds import LEAST_ROWS
from schemas.forms.flow_forms import NightlyForm


def run(
    jobs: JobsArgument,
    policy: PolicyOption = None,
    id_column: IdColumnOption = None,
    prompt_column: PromptColumnOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    max_input_tokens: MaxInputTokensOption = None,
    run_budget_usd: RunBudgetOption = None,
    limit: Annotated[int | None, typer.Option(min=LEAST_ROWS, help="Read at most this many rows.")] = None,
    mode: ModeOption = None,
    deadline: DeadlineOption = None,
    resubmit_approved: Annotated[
        bool, typer.Option("--resubmit-approved", help="Also send the jobs that reviewers approved.")
    ] = False,
    quote: QuoteOption = None,
    effort: EffortOption = None,
    thinking_budget: ThinkingBudgetOption = None,
    sample: SampleOption = None,
    seed: SeedOption = 1,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Weigh every job, send what fits, park the rest for review, and report what it cost.

    The exit code is 0 when the run is complete, 2 for bad arguments or input, 3 when a budget ran out, 4 when jobs
    were rejected, failed or have an unknown outcome, and 1 for anything else.
    """
    ledger, folder = places(ledger, results, simulate=simulate)
    asked = {
        "policy": str(policy) if policy else None,
        "ledger": ledger,
        "results": folder,
        "max_input_tokens": max_input_tokens,
        "run_budget_usd": run_budget_usd,
        "limit": limit,
        "mode": mode.value if mode else None,
        "id_column": id_column,
        "prompt_column": prompt_column,
        "resubmit_approved": resubmit_approved,
        "quote": quote,
        "effort": effort,
        "thinking_budget": thinking_budget,
        "sample": sample,
        "seed": seed,
        "deadline": deadline,
    }

    def work() -> object:
        # report plain mistakes at once, before a Prefect server starts
        NightlyForm.checked({"jobs": jobs} | asked)
        check_input(jobs, policy, id_column, prompt_column)
        with endpoint(simulate=simulate) as base_url:
            return result_of(nightly_batch, jobs, **asked, base_url=base_url)

    run_and_report(work, as_json=as_json)
