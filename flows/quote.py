"""The quote: what a job file would cost, counted and priced, before anything is spent."""

from typing import Literal

from prefect import State, flow
from prefect.states import Completed, Failed

from flows.final_state import NOWHERE, unless_cancelled
from flows.flow_run_name import flow_run_name
from flows.given_options import given_options
from flows.shown_form import shown_form
from schemas.errors import WeighbridgeError
from schemas.forms.flow_forms import QuoteForm
from schemas.quote import QuoteReport
from schemas.run import RunOptions
from tasks.quote_jobs import quote_jobs
from tasks.report_quote import report_quote
from tasks.start_quote import start_quote
from tasks.step import run_log


@shown_form(QuoteForm)
@flow(
    name="quote",
    flow_run_name=flow_run_name,
    persist_result=False,
    result_storage=NOWHERE,
    validate_parameters=False,
)
async def quote(
    jobs: str,
    policy: str | None = None,
    ledger: str | None = None,
    results: str | None = None,
    max_input_tokens: int | None = None,
    run_budget_usd: str | None = None,
    limit: int | None = None,
    base_url: str | None = None,
    mode: Literal["messages", "batches"] | None = None,
    against: str | None = None,
    sample: int | None = None,
    seed: int = 1,
    id_column: str | None = None,
    prompt_column: str | None = None,
    deadline: str | None = None,
) -> State[QuoteReport]:
    """Say what a run over a job file would cost, and what other policies would make of it.

    Counting is free, and what was counted is kept for the run. Nothing is sent, held or parked.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.
    """
    given = dict(locals())
    try:
        given = QuoteForm.checked(given)
        report = await one_quote(given_options(given), given["against"])
    except WeighbridgeError as error:
        return await unless_cancelled(Failed(message=str(error), data=error))
    return await unless_cancelled(_completed(report))


def _completed(report: QuoteReport) -> State[QuoteReport]:
    own = report.policies[0]
    return Completed(
        message=f"{report.quote_id}: {own.expected_usd:f} USD expected for {own.jobs} of {report.jobs.read} jobs",
        data=report,
    )


async def one_quote(options: RunOptions, against: str | None = None) -> QuoteReport:
    """The quote itself."""
    async with start_quote(options, against, sample=options.sample) as quoting:
        run_log().info("%s: %s rows to weigh", quoting.quote_id, quoting.file.rows)
        tally = await quote_jobs(quoting)
        return await report_quote(quoting, tally, options.prefect_flow_run_id)
