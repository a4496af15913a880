"""`weighbridge run JOBS`."""

from enum import StrEnum
from pathlib import Path

from cli.check_input import check_input
from cli.in_flow import endpoint, places, result_of, run_and_report
from cli.options import (
    AlsoApprovedOption,
    DaskAddressOption,
    DeadlineOption,
    EffortOption,
    IdColumnOption,
    JobsArgument,
    JsonOption,
    LedgerOption,
    LimitOption,
    MaxInputTokensOption,
    ModeOption,
    MoveDoneOption,
    PolicyOption,
    PromptColumnOption,
    QuoteOption,
    ResultsOption,
    RunBudgetOption,
    RunnerOption,
    SampleOption,
    SeedOption,
    SimulateOption,
    ThinkingBudgetOption,
    WorkersOption,
    option_called,
)
from flows.nightly_batch import nightly_batch
from schemas.forms.flow_forms import NightlyForm

#: options that are the command's and not the flow's
_OWN = ("jobs", "simulate", "as_json")


def run(
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
    resubmit_approved: AlsoApprovedOption = False,
    quote: QuoteOption = None,
    effort: EffortOption = None,
    thinking_budget: ThinkingBudgetOption = None,
    sample: SampleOption = None,
    seed: SeedOption = 1,
    runner: RunnerOption = None,
    workers: WorkersOption = None,
    dask_address: DaskAddressOption = None,
    move_done: MoveDoneOption = None,
    simulate: SimulateOption = False,
    as_json: JsonOption = False,
) -> None:
    """Weigh every job, send what fits, park the rest for review, and report what it cost.

    The exit code is 0 when the run is complete, 2 for bad arguments or input, 3 when a budget ran out, 4 when jobs
    were rejected, failed or have an unknown outcome, and 1 for anything else.
    """
    given = {name: _plain(value) for name, value in dict(locals()).items() if name not in _OWN}
    ledger, folder = places(ledger, results, simulate=simulate)
    asked = given | {"ledger": ledger, "results": folder}

    def work() -> object:
        # report plain mistakes at once, before a Prefect server starts
        NightlyForm.checked({"jobs": jobs} | asked, option_called)
        check_input(jobs, policy, id_column, prompt_column)
        with endpoint(simulate=simulate) as base_url:
            return result_of(nightly_batch, jobs, **asked, base_url=base_url)

    run_and_report(work, as_json=as_json)


def _plain(value: object) -> object:
    """An option as a parameter of the flow."""
    return str(value) if isinstance(value, StrEnum | Path) else value
