"""The nightly run: every job weighed, what fits sent, the rest parked, every estimate reconciled."""

from typing import Literal

from prefect import State, flow

from flows.final_state import as_state
from flows.flow_run_name import flow_run_name
from flows.given_options import given_options
from rules.run_label import run_tags
from schemas.report import RunReport
from schemas.run import RunOptions
from services.flow_runs import add_tags
from services.job_file import JobFile
from services.whole_thread import on_whole_thread
from tasks.collect import collect
from tasks.count_tokens import count_tokens
from tasks.draw_rows import DrawnRows, draw_rows
from tasks.find_prefixes import find_prefixes
from tasks.hand_out import know_pins, say_who_sends
from tasks.learn import learn
from tasks.move_done import move_done
from tasks.park_for_review import park_for_review
from tasks.publish import publish
from tasks.read_approved import read_approved
from tasks.read_jobs import read_jobs
from tasks.report_run import report_run
from tasks.run import Run
from tasks.send_queue import SendQueue
from tasks.shards import Sizes, in_shards
from tasks.share_answers import find_shared, share_answers
from tasks.show_progress import ProgressDisplay, Stage
from tasks.start_run import start_run
from tasks.step import run_log


@flow(name="nightly-batch", flow_run_name=flow_run_name, persist_result=False)
async def nightly_batch(
    jobs: str,
    policy: str | None = None,
    ledger: str | None = None,
    results: str | None = None,
    max_input_tokens: int | None = None,
    run_budget_usd: str | None = None,
    limit: int | None = None,
    base_url: str | None = None,
    mode: Literal["messages", "batches"] | None = None,
    resubmit_approved: bool = False,
    quote: str | None = None,
    effort: str | None = None,
    thinking_budget: int | None = None,
    sample: int | None = None,
    seed: int = 1,
    id_column: str | None = None,
    prompt_column: str | None = None,
    deadline: str | None = None,
    runner: Literal["local", "processes", "dask"] | None = None,
    workers: int | None = None,
    dask_address: str | None = None,
    allow_no_jobs: bool = False,
    move_done: str | None = None,
) -> State[RunReport]:
    """Weigh every job of a job file, send what fits, park the rest for review, reconcile the bill.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.

    Args:
        jobs: A job file (Parquet, CSV or JSON Lines), a folder of them, or a glob, as the worker sees it.
            {date} stands for the day, as 2026-11-27.
        policy: A policy file (TOML). Empty: WEIGHBRIDGE_POLICY, or the default policy.
        ledger: A SQLAlchemy URL. Empty: WEIGHBRIDGE_LEDGER, or data/ledger.db.
        results: The folder for results. Empty: WEIGHBRIDGE_RESULTS, or data/results.
        max_input_tokens: A job over so many input tokens goes to review, whatever the policy says.
        run_budget_usd: The most this run may hold and spend in USD, such as 12.50, whatever the policy says.
        limit: Only the first so many rows.
        base_url: The API's address. Empty: ANTHROPIC_BASE_URL, or Anthropic's own.
        mode: messages (now) or batches (half the price, within 24 hours). Empty: as the policy says.
        resubmit_approved: Also send what reviewers approved, each job under its own ceiling.
        quote: The id of a quote. The run does not start when the file, the policy, the prices or a cap do not fit it.
        effort: Ask every row with this effort in place of its own: low, medium, high, xhigh or max.
        thinking_budget: Ask every row to think with a budget of so many tokens, in place of its own thinking and effort.
        sample: Read only so many rows, drawn by size; the others are left alone.
        seed: Which rows a sample draws.
        id_column: The column with the job's id. Empty: as the policy says, or job_id.
        prompt_column: The column with the prompt, or a template such as Summarise: {body}. Empty: as the policy says.
        deadline: A time of day such as 06:30, in the policy's time zone, at which the answers of a run in batches are due.
            Empty: as the policy says.
        runner: Where calls are made: local (in the run's process), processes (on its machine) or dask (a cluster). Empty:
            as the policy says.
        workers: How many processes, with processes. Empty: as the policy says, or one for each core.
        dask_address: The scheduler of the cluster, such as tcp://10.0.0.5:8786. Empty: as the policy says.
        allow_no_jobs: A night without a job file, or without a row in it, is complete. Otherwise it fails.
        move_done: A folder that job files are moved to once nothing of them is left to do; {date} stands for the day.
    """
    given = dict(locals())
    return await as_state(one_night(given_options(given)), allow_no_jobs=allow_no_jobs)


async def one_night(options: RunOptions) -> RunReport:
    """The run itself; its report."""
    async with start_run(options) as (run, file):
        tags = run_tags(run.policy.mode, run.policy.name, simulated=run.gateway.simulated)
        await add_tags(options.prefect_flow_run_id, tags)
        waiting = 0
        if file is not None:
            waiting += await read_jobs(
                run,
                file,
                options.limit,
                resubmit_approved=options.resubmit_approved,
                drawn=await _drawn(run, file, options.limit),
            )
        if options.resubmit_approved:
            waiting += await read_approved(run)
        run_log().info("%s: %s jobs to weigh", run.run_id, waiting)
        report = await weigh_and_send(run, Sizes.of(run.policy, waiting))
        if file is not None and options.move_done is not None:
            await move_done(run, file, options, report)
        await collect(run.ledger, run.gateway)
        return report


async def _drawn(run: Run, file: JobFile, limit: int | None) -> DrawnRows | None:
    """The rows that the run was asked to draw; None: it reads all."""
    sample = run.reference.sample
    if sample is None:
        return None
    return await on_whole_thread(draw_rows, file, limit, sample.rows, sample.seed)


async def weigh_and_send(run: Run, sizes: Sizes) -> RunReport:
    """Weigh, send and report on the jobs that a run has on record.

    Args:
        run: the run.
        sizes: jobs a shard of each stage.
    """
    log = run_log()
    log.info("%s jobs share the answer to another one", await find_shared(run))
    log.info("%s earlier answers learned from", await learn(run))
    display = ProgressDisplay(run)
    async with display.of(Stage.COUNTING):
        await in_shards(count_tokens, run, sizes.count)
    log.info("%s calls to count_tokens", run.tally.count)
    await know_pins(run)
    log.info("%s shared prefixes to cache", await find_prefixes(run))
    say_who_sends(run)
    async with display.of(Stage.SENDING):
        await SendQueue(run, sizes.admit).drain()
        await share_answers(run)
    log.info("%s paid calls, %s tries beyond the first", run.tally.message, run.tally.retried)
    log.info("%s jobs wait for a person", await park_for_review(run))
    await publish(run)
    report = await report_run(run)
    log.info("%s: %s USD spent, results in %s", report.outcome, f"{report.usd.actual:f}", run.results)
    return report
