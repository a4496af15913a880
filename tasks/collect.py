"""Collect: go on with what interrupted runs left with the provider, and finish those runs."""

from datetime import UTC, datetime
from pathlib import Path

from rules.models import Models
from schemas.policy import Policy
from schemas.report import RunReport
from schemas.run import RunOnRecord, RunReference
from services.gateway import Gateway
from services.ledger import Ledger, batches, runs
from tasks.park_for_review import park_for_review
from tasks.publish import publish
from tasks.report_run import report_run
from tasks.run import Run
from tasks.step import step
from tasks.watch_batch import look


@step
async def collect(ledger: Ledger, gateway: Gateway) -> tuple[list[RunReport], int]:
    """Look once at every batch that an interrupted run left behind, and finish the runs that wait for no more.

    Returns:
        The reports of the runs that are finished now, and how many batches are still out.
    """
    await ledger.off_loop(runs.close_dead_runs)
    finished: list[RunReport] = []
    still_out = 0
    for found in await ledger.off_loop(runs.take_over):
        run = Run.of(
            reference_of(found, ledger), ledger, gateway, Models(Policy.model_validate(found.policy))
        )
        try:
            for batch in await ledger.off_loop(batches.open_of_run, run.run_id):
                await look(run, batch.batch_id)
            left = await ledger.off_loop(
                runs.close_own_books, run.run_id, review_unknown=run.policy.parks_unknown
            )
            if left:
                await ledger.off_loop(runs.let_go, run.run_id)
                still_out += left
                continue
            await park_for_review(run)
            await publish(run)
            finished.append(await report_run(run))
        except BaseException:
            runs.let_go(ledger, run.run_id)
            raise
    return finished, still_out


def reference_of(found: RunOnRecord, ledger: Ledger) -> RunReference:
    """An interrupted run, as far as it can be gone on with: nothing new is sent under it."""
    return RunReference(
        run_id=found.run_id,
        policy=Policy.model_validate(found.policy),
        ledger_url=ledger.engine.url.render_as_string(hide_password=False),
        results=str(Path(found.results_path)),
        started_at=found.started_at or datetime.now(UTC),
        prefect_flow_run_id=found.prefect_flow_run_id,
    )
