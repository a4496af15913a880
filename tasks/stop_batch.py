"""Stop a batch whose answers are due: what it has not answered goes out at full price once it has ended."""

import logging

from schemas.batch import OpenBatch
from schemas.errors import RunFailed
from services.ledger import batches, runs
from tasks.run import Run

log = logging.getLogger("weighbridge")


async def may_stop(run: Run, batch: OpenBatch) -> bool:
    """Whether a run may stop a batch: its own, or one that a run left behind which nobody works on."""
    return batch.run_id == run.run_id or not await run.ledger.off_loop(runs.is_at_work, batch.run_id)


async def stop_batch(run: Run, batch_id: str) -> bool:
    """Ask the provider to stop working on a batch, for the owner of a run alone; whether it was asked.

    What it answers before it stops is billed, so it stays on record until it has ended. A run that may send no more
    stops nothing: nothing could go out instead.

    Raises:
        NotOwner: the run was taken over.
    """
    batch = await run.ledger.off_loop(batches.open_batch, batch_id)
    if batch is None or batch.provider_batch_id is None or run.halt.reason:
        return False
    await run.ledger.off_loop(batches.asked_to_stop, run.reference.key, batch_id)
    try:
        await run.gateway.cancel_batch(batch.provider_batch_id)
    except RunFailed as error:
        # it may have ended meanwhile; the next look shows it
        log.warning("%s", error)
        return False
    log.warning(
        "Batch %s was asked to stop: its answers are due. What it answered is billed, and booked.", batch_id
    )
    return True
