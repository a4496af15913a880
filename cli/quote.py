"""`weighbridge quote`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.check_input import check_input
from cli.in_flow import done_and_shown, endpoint, places, result_of
from cli.options import (
    DeadlineOption,
    IdColumnOption,
    JobsArgument,
    JsonOption,
    LedgerOption,
    LimitOption,
    MaxInputTokensOption,
    ModeOption,
    PolicyOption,
    PromptColumnOption,
    ResultsOption,
    RunBudgetOption,
    SeedOption,
    SimulateOption,
    option_called,
)
from cli.show_quote import print_quote
from flows.quote import quote as quote_flow
from schemas.forms.bounds import LEAST_ROWS
from schemas.forms.flow_forms import QuoteForm
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.quote import QuoteReport
from services.policy_file import read_policy


def quote(
    jobs: JobsArgument,
    policy: PolicyOption = None,
    id_column: IdColumnOption = None,
    prompt_column: PromptColumnOption = None,
    ledger: LedgerOption = None,
    results: ResultsOption = None,
    max_input_tokens: MaxInputTokensOption = None,
    run_budget_usd: RunBudgetOption = None,
    limit: LimitOption = None,
    mode: ModeOption = None,
    deadline: DeadlineOption = None,
    against: Annotated[Path | None, typer.Option(help="Another policy file (TOML), to compare with.")] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=LEAST_ROWS, help="Look at this many rows only, drawn by size, and estimate the whole file."
        ),
    ] = None,
    seed: SeedOption = 1,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a run with the same arguments would cost, and what other policies would make of it.

    Every job is counted, which is free, and the counts are kept: the run after it counts nothing again. Nothing is
    sent, held or parked. `run --quote ID` then holds the run to the quote. Exit codes: 0 when all is well, 3 when
    today's caps would defer jobs, 4 when rows would be rejected or are of unknown outcome, 2 for wrong input, 1 for anything else.
    """
    ledger_url, folder = places(ledger, results, simulate=simulate)

    asked = {
        "policy": str(policy) if policy else None,
        "ledger": ledger_url,
        "results": folder,
        "max_input_tokens": max_input_tokens,
        "run_budget_usd": run_budget_usd,
        "limit": limit,
        "mode": mode.value if mode else None,
        "id_column": id_column,
        "prompt_column": prompt_column,
        "against": str(against) if against else None,
        "sample": sample,
        "seed": seed,
        "deadline": deadline,
    }

    def work() -> QuoteReport:
        # report plain mistakes at once, before a Prefect server starts
        QuoteForm.checked({"jobs": jobs} | asked, option_called)
        check_input(jobs, policy, id_column, prompt_column)
        if against is not None:
            read_policy(against)
        with endpoint(simulate=simulate) as base_url:
            return QuoteReport.model_validate(result_of(quote_flow, jobs, **asked, base_url=base_url))

    report = done_and_shown(work, _failed, print_quote, as_json=as_json)
    raise typer.Exit(EXIT_CODES[report.outcome])


def _failed(words: str) -> QuoteReport:
    return QuoteReport(quote_id="", outcome=RunOutcome.FAILED, error=words)
