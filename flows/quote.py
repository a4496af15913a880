"""The quote: what a job file would cost, counted and priced, before anything is spent."""

from typing import Literal

from prefect import State, flow
from prefect.states import Completed, Failed

from flows.flow_run_name import flow_run_name
from flows.given_options import given_options
from schemas.errors import WeighbridgeError
from schemas.quote import QuoteReport
from schemas.run import RunOptions
from tasks.quote_jobs import quote_jobs
from tasks.report_quote import report_quote
from tasks.start_quote import start_quote
from tasks.step import run_log


@flow(name="quote", flow_run_name=flow_run_name, persist_result=False)
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

    Args:
        jobs: A job file (Parquet, CSV or JSON Lines), a folder of them, or a glob, as the worker sees it.
            {date} stands for the day, as 2026-11-27.
        policy: A policy file (TOML). Empty: WEIGHBRIDGE_POLICY, or the default policy.
        ledger: A SQLAlchemy URL. Empty: WEIGHBRIDGE_LEDGER, or data/ledger.db.
        results: The folder for results. Empty: WEIGHBRIDGE_RESULTS, or data/results.
        max_input_tokens: A job over so many input tokens goes to review, whatever the policy says.
        run_budget_usd: The most the run may hold and spend in USD, such as 12.50, whatever the policy says.
        limit: Only the first so many rows.
        base_url: The API's address. Empty: ANTHROPIC_BASE_URL, or Anthropic's own.
        mode: messages (now) or batches (half the price, within 24 hours). Empty: as the policy says.
        against: Another policy file (TOML), to compare with.
        sample: Look at this many rows only, and estimate the whole file.
        seed: Which rows a sample draws.
        id_column: The column with the job's id. Empty: as the policy says, or job_id.
        prompt_column: The column with the prompt, or a template such as Summarise: {body}. Empty: as the policy says.
        deadline: A time of day such as 06:30, in the policy's time zone, at which the answers of the run would be due.
    """
    given = dict(locals())
    try:
        report = await one_quote(given_options(given), against)
    except WeighbridgeError as error:
        return Failed(message=str(error), data=error)
    return _completed(report)


def _completed(report: QuoteReport) -> State[QuoteReport]:
    own = report.policies[0]
    return Completed(
        message=f"{report.quote_id}: {own.expected_usd} USD expected for {own.jobs} of {report.jobs.read} jobs",
        data=report,
    )


async def one_quote(options: RunOptions, against: str | None = None) -> QuoteReport:
    """The quote itself."""
    async with start_quote(options, against, sample=options.sample) as quoting:
        run_log().info("%s: %s rows to weigh", quoting.quote_id, quoting.file.rows)
        tally = await quote_jobs(quoting)
        return await report_quote(quoting, tally, options.prefect_flow_run_id)
