"""Collect: go on with what interrupted runs left with the provider, and finish those runs."""

from pathlib import Path
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.job import RunId
from schemas.policy import Policy
from schemas.report import RunReport
from services.gateway import Gateway
from services.ledger import Ledger, batches, runs
from tasks.park_for_review import park
from tasks.publish import publish_results
from tasks.report_run import reconcile_run
from tasks.start_run import Run
from tasks.watch_batch import look


async def collect_all(ledger: Ledger, gateway: Gateway) -> tuple[list[RunReport], int]:
    """Look once at every batch that an interrupted run left behind.

    Returns:
        The reports of the runs that are finished now, and how many batches are still out.
    """
    runs.close_dead_runs(ledger)
    finished: list[RunReport] = []
    out = 0
    for row in runs.take_over(ledger):
        run = resumed(row, ledger, gateway)
        try:
            for batch in batches.open_of_run(ledger, run.run_id):
                await look(run, batch.batch_id)
            with ledger.write() as connection:
                left = runs.close_books(
                    connection, run.run_id, review_unknown=run.policy.on_unknown == "review"
                )
            if left:
                runs.let_go(ledger, run.run_id)
                out += left
                continue
            park(run)
            publish_results(run)
            finished.append(reconcile_run(run))
        except BaseException:
            runs.let_go(ledger, run.run_id)
            raise
    return finished, out


def resumed(row: Any, ledger: Ledger, gateway: Gateway) -> Run:
    """An interrupted run, as far as it can be gone on with: nothing new is sent under it."""
    results = Path(row.results_path).parent
    run = Run(RunId(row.run_id), Policy.model_validate(row.policy), ledger, gateway, results)
    run.prefect_flow_run_id = row.prefect_flow_run_id
    return run


@task(name="collect", cache_policy=NO_CACHE, persist_result=False)
async def collect(ledger: Ledger, gateway: Gateway) -> tuple[list[RunReport], int]:
    """Look once at every batch that an interrupted run left behind, and finish the runs that wait for no more."""
    return await collect_all(ledger, gateway)
