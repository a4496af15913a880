"""Close the books of runs whose process died, in the ledger and in Prefect."""

import logging
from collections.abc import Sequence

from prefect.context import FlowRunContext, TaskRunContext

from services.flow_runs import show_crashed
from services.ledger import Ledger, runs

log = logging.getLogger("weighbridge")

_DIED = (
    "The process of this run died. Another one has closed its books: what it paid for is in the ledger, and the next "
    "run over the same input, or `weighbridge collect`, goes on from there."
)


async def close_dead(ledger: Ledger) -> None:
    """Close the books of the runs whose owner is gone, and have Prefect show that they crashed."""
    dead = await ledger.off_loop(runs.close_dead_runs)
    for run_id in dead:
        log.warning("Run %s died; its books are closed, and this run goes on from them.", run_id)
    await show_dead(ledger, dead)


async def show_dead(ledger: Ledger, run_ids: Sequence[str]) -> None:
    """Have Prefect show that the processes of runs died, where it takes them for running. Outside of Prefect: nothing."""
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    await show_crashed(await ledger.off_loop(runs.flow_runs_of, run_ids), _DIED)
