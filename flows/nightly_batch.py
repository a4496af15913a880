"""The nightly run: every job weighed, what fits sent, the rest parked, every estimate reconciled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from prefect import State, flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from schemas.attempt import Admission
from schemas.batch import OpenBatch
from schemas.errors import WeighbridgeError
from schemas.job import Shard
from schemas.outcome import Mode, RunOutcome
from schemas.report import RunReport
from schemas.run import RunOptions
from services.ledger import batches, jobs
from tasks.admit import SHARD_SIZE, admit
from tasks.collect import collect
from tasks.count_tokens import count_tokens
from tasks.learn import learn
from tasks.park_for_review import park_for_review
from tasks.publish import publish
from tasks.read_approved import read_approved
from tasks.read_jobs import read_jobs
from tasks.report_run import reconcile
from tasks.route import route
from tasks.send import send
from tasks.send_batch import send_batch
from tasks.show_progress import showing_progress
from tasks.start_run import Run, start_run
from tasks.watch_batch import watch_batch

#: shards worked on at once: enough that the next one's jobs fill the gaps of the last one's stragglers
LANES = 4


@flow(name="nightly-batch", flow_run_name="nightly-batch {jobs}", persist_result=False)
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
) -> State[RunReport]:
    """Weigh every job of a Parquet file, send what fits, park the rest for review, reconcile the bill.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.

    Args:
        jobs: A Parquet file, a folder of them, or a glob, as the worker sees it.
        policy: A policy file (TOML). Empty: WEIGHBRIDGE_POLICY, or the default policy.
        ledger: A SQLAlchemy URL. Empty: WEIGHBRIDGE_LEDGER, or data/ledger.db.
        results: The folder for results. Empty: WEIGHBRIDGE_RESULTS, or data/results.
        max_input_tokens: A job over so many input tokens goes to review, whatever the policy says.
        run_budget_usd: The most this run may hold and spend in USD, such as 12.50, whatever the policy says.
        limit: Only the first so many rows.
        base_url: The API's address. Empty: ANTHROPIC_BASE_URL, or Anthropic's own.
        mode: messages (now) or batches (half the price, within 24 hours). Empty: as the policy says.
        resubmit_approved: Also send what reviewers approved, each job under its own ceiling.
    """
    options = RunOptions(
        jobs,
        policy,
        ledger,
        results,
        max_input_tokens,
        run_budget_usd,
        limit,
        base_url,
        mode,
        flow_run.get_id(),
        resubmit_approved,
    )
    try:
        return final_state(await one_night(options))
    except WeighbridgeError as error:
        return Failed(message=str(error), data=error)


async def one_night(options: RunOptions) -> RunReport:
    """The run itself; its report."""
    async with start_run(options) as (run, file):
        waiting = 0
        if file is not None:
            waiting += read_jobs(run, file, options.limit, resubmit_approved=options.resubmit_approved)
        if options.resubmit_approved:
            waiting += read_approved(run)
        return await carry_out(run, waiting)


async def carry_out(run: Run, waiting: int) -> RunReport:
    """Weigh, send and reconcile the jobs that a run has on record; its report."""
    say = get_run_logger().info
    say("%s: %s jobs to weigh", run.run_id, waiting)
    await in_shards(count_tokens, run, shard_size(run, waiting))
    await in_shards(route, run, max(SHARD_SIZE, shard_size(run, waiting)))
    say("%s calls to count_tokens", run.gateway.tally.count)
    say("%s earlier answers learned from", learn(run))
    async with showing_progress(run):
        await send_what_fits(run)
    say("%s paid calls, %s tries beyond the first", run.gateway.tally.message, run.gateway.tally.retried)
    say("%s jobs wait for a person", park_for_review(run))
    publish(run)
    report = reconcile(run)
    await collect(run.ledger, run.gateway)
    say("%s: %s USD spent, results in %s", report.outcome, report.usd.actual, run.results)
    return report


def shard_size(run: Run, waiting: int) -> int:
    """Jobs a shard, so that a stage makes at most the policy's `max_task_runs`: one, for a small run."""
    return max(1, -(-waiting // run.policy.max_task_runs))


async def in_shards(step: Callable[..., Any], run: Run, size: int) -> None:
    """Run a step over the undecided jobs, some shards at a time."""
    lanes = asyncio.Semaphore(max(LANES, run.policy.limits.max_in_flight // size))

    async def one(shard: Shard) -> None:
        async with lanes:
            done = step(run, shard)
            if isinstance(done, Awaitable):
                await done

    async with asyncio.TaskGroup() as group:
        for shard in jobs.shards(run.ledger, run.run_id, size):
            group.create_task(one(shard))


async def send_what_fits(run: Run) -> None:
    """Hold and send, in order of priority, until the queue is empty and everything sent is settled.

    What a settled shard or batch leaves of its hold is there for the next: so a job is deferred for want of money
    only once nothing of this run is in flight.
    """
    sending: set[asyncio.Task[Any]] = set()
    while (admission := await admit(run, may_defer=not sending)) is not None or sending:
        if admission is not None and admission.held:
            sending.add(asyncio.create_task(ship(run, admission)))
        if admission is not None and admission.joined:
            sending |= {asyncio.create_task(watch_batch(run, batch)) for batch in newly_joined(run)}
        if sending and (admission is None or admission.short or lanes_full(run, sending)):
            done, sending = await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
            run.short_groups.clear()
            for task in done:
                task.result()


async def ship(run: Run, admission: Admission) -> None:
    """Send what the money is held for, in the policy's mode."""
    await (send_batch if run.policy.mode == Mode.BATCHES else send)(run, admission)


def lanes_full(run: Run, sending: set[asyncio.Task[Any]]) -> bool:
    """Whether to wait before more is admitted: so many shards, or so many requests with the provider, at once."""
    if run.policy.mode == Mode.BATCHES:
        limits = run.policy.batch
        return (len(sending) + 1) * limits.max_requests > limits.max_queued_requests
    return len(sending) >= LANES


def newly_joined(run: Run) -> list[OpenBatch]:
    """The batches of earlier runs that rows of this one wait for, and nobody here watches yet."""
    found = [
        batch for batch in batches.open_of_run(run.ledger, run.run_id) if batch.batch_id not in run.watched
    ]
    run.watched |= {batch.batch_id for batch in found}
    return found


def final_state(report: RunReport) -> State[RunReport]:
    """The Prefect state that says what the run ended as."""
    message = f"{report.run_id}: {report.jobs.succeeded} of {report.jobs.read} jobs succeeded, {report.usd.actual} USD"
    if report.outcome == RunOutcome.FAILED:
        return Failed(message=report.error or message, data=report)
    name = "".join(word.capitalize() for word in report.outcome.split("_"))
    return Completed(
        name="Completed" if report.outcome == RunOutcome.COMPLETE else name, message=message, data=report
    )
