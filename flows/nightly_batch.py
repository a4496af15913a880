"""The nightly run: every job weighed, what fits sent, the rest parked, every estimate reconciled."""

import asyncio
from typing import Any, Literal

from prefect import State, flow

from flows.final_state import NOWHERE, as_state
from flows.flow_run_name import flow_run_name
from flows.given_options import given_options
from flows.shown_form import shown_form
from rules.run_label import run_tags
from schemas.forms.flow_forms import NightlyForm
from schemas.report import RunReport
from schemas.run import RunOptions
from services.flow_runs import add_tags
from services.job_file import JobFile
from services.result_file import get_ready_to_write
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


@shown_form(NightlyForm)
@flow(
    name="nightly-batch",
    flow_run_name=flow_run_name,
    persist_result=False,
    result_storage=NOWHERE,
    validate_parameters=False,
)
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
    """
    return await as_state(_asked_night(dict(locals())), allow_no_jobs=allow_no_jobs)


async def _asked_night(parameters: dict[str, Any]) -> RunReport:
    return await one_night(given_options(NightlyForm.checked(parameters)))


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
    async with ProgressDisplay(run) as display:
        with display.of(Stage.COUNTING):
            await in_shards(count_tokens, run, sizes.count)
        log.info("%s calls to count_tokens", run.tally.count)
        await know_pins(run)
        log.info("%s shared prefixes to cache", await find_prefixes(run))
        say_who_sends(run)
        with display.of(Stage.SENDING):
            # while answers are waited for
            is_ready = asyncio.create_task(on_whole_thread(get_ready_to_write))
            await SendQueue(run, sizes.admit).drain()
            await share_answers(run)
            await is_ready
        log.info("%s paid calls, %s tries beyond the first", run.tally.message, run.tally.retried)
        log.info("%s jobs wait for a person", await park_for_review(run))
        await publish(run)
    report = await report_run(run)
    log.info("%s: %s USD spent, results in %s", report.outcome, f"{report.usd.actual:f}", run.results)
    return report
