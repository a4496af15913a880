"""Watch a batch: find it if its creation brought no answer, wait until it has ended, settle every item."""

import logging
from dataclasses import dataclass, field

from rules.endings import deferred, stops_run
from schemas.batch import OpenBatch, ProviderBatch
from schemas.errors import RunFailed, WeighbridgeError
from schemas.failures import CallFailed
from schemas.outcome import Reason
from services.ledger import batch_attempts, batches
from services.ledger.store import NotOwner
from tasks.find_batch import elsewhere, find
from tasks.give_up_batch import is_gone, note_missing
from tasks.pause import Pause
from tasks.read_results import ingest
from tasks.run import Run
from tasks.step import named_step
from tasks.stop_batch import may_stop, stop_batch

log = logging.getLogger("weighbridge")

#: looks in a row that the key is refused, or that end in an error nobody expected, before the watching ends
_MOST_IN_VAIN = 3


@dataclass(slots=True)
class Sightings:
    """What looks at one batch have shown so far.

    Attributes:
        not_ours: the provider's ids of batches that were shown not to be it.
        elsewhere: a sentence, when it belongs to another endpoint or workspace.
        refused: looks in a row that nobody was let in.
        reason: why not.
        stopped: whether the provider was asked to stop it.
    """

    not_ours: set[str] = field(default_factory=set)
    elsewhere: str | None = None
    refused: int = 0
    reason: Reason | None = None
    stopped: bool = False


@named_step("watch_batch {batch.batch_id}")
async def watch_batch(run: Run, batch: OpenBatch) -> None:
    """Wait until a batch of an earlier run has ended, and settle every item of it."""
    await watch(run, batch)


async def watch(run: Run, batch: OpenBatch) -> None:
    """Wait until a batch has ended, and settle every item of it.

    Rows of the run that wait for a batch of another place are deferred: waiting does not help them.

    Raises:
        RunFailed: it cannot be watched any longer. It goes on with the provider, and its holds stay.
    """
    pause = Pause(float(run.policy.batch.poll_seconds))
    seen = Sightings()
    broken = 0
    while True:
        try:
            if await look(run, batch.batch_id, seen):
                return
            if run.is_at_risk and await _left_or_stopped(run, batch, seen, pause):
                return
        except (WeighbridgeError, NotOwner):
            raise
        except Exception as error:
            broken += 1
            log_unexpected(batch.batch_id, error)
            if broken == _MOST_IN_VAIN:
                raise _left(batch, f"it could not be settled ({type(error).__name__})") from error
        else:
            broken = 0
        if seen.elsewhere:
            await _leave(run, batch, seen.elsewhere)
            return
        if seen.refused == _MOST_IN_VAIN:
            run.halt.stop(seen.reason)
            raise _left(batch, f"it may not be looked at any more ({seen.reason})")
        await pause.wait(at_most=None if run.bell.has_rung else run.seconds_until_risk)


async def _left_or_stopped(run: Run, batch: OpenBatch, seen: Sightings, pause: Pause) -> bool:
    """What a run whose answers are due does about a batch that has not ended; whether it is not watched any longer.

    One that another run waits for is that run's to stop. This one goes on without it when its answers are due.
    """
    if seen.stopped or seen.elsewhere:
        return False
    if await may_stop(run, batch):
        seen.stopped = await stop_batch(run, batch.batch_id)
        if seen.stopped:
            pause.begin_again()
        return False
    if not run.is_overdue:
        return False
    detail = (
        f"it is in a batch of {batch.run_id}, which had not ended at the deadline; the next run takes it up"
    )
    ending = deferred(Reason.IN_FLIGHT_ELSEWHERE, detail)
    await run.ledger.off_loop(batch_attempts.end_waiting_rows, run.run_id, batch.batch_id, ending)
    return True


def log_unexpected(batch_id: str, error: Exception) -> None:
    """Name an error that nobody expected by its kind alone: its text may quote a payload."""
    log.error("Batch %s could not be settled (%s).", batch_id, type(error).__name__)


def _left(batch: OpenBatch, why: str) -> RunFailed:
    return RunFailed(
        f"Batch {batch.batch_id}: {why}. It goes on with the provider, and its holds stay; `weighbridge collect` "
        "settles it once that is put right."
    )


async def _leave(run: Run, batch: OpenBatch, sentence: str) -> None:
    """Go on without a batch of another place; a run's own leaves it with what it has."""
    if batch.run_id == run.run_id:
        raise RunFailed(sentence)
    ending = deferred(Reason.IN_FLIGHT_ELSEWHERE, f"it is in a batch that belongs to {batch.place}")
    await run.ledger.off_loop(batch_attempts.end_waiting_rows, run.run_id, batch.batch_id, ending)
    log.warning("%s", sentence)


async def look(run: Run, batch_id: str, seen: Sightings | None = None) -> bool:
    """Look at a batch once, and settle it when it has ended; whether nothing is left to be done.

    Args:
        run: the run that looks.
        batch_id: ours.
        seen: what earlier looks have shown; what this one shows is added.
    """
    seen = Sightings() if seen is None else seen
    batch = await run.ledger.off_loop(batches.open_batch, batch_id)
    if batch is None:
        return True
    seen.elsewhere = elsewhere(run, batch)
    if seen.elsewhere:
        return False
    try:
        provider_id = batch.provider_batch_id or await find(run, batch, seen.not_ours)
        if provider_id is None:
            return False
        at_provider = await run.gateway.batch(provider_id)
    except CallFailed as error:
        return await _in_vain(run, batch, error, seen)
    seen.refused = 0
    return await _settled(run, batch, at_provider)


async def _settled(run: Run, batch: OpenBatch, at_provider: ProviderBatch) -> bool:
    if at_provider.ended:
        return await ingest(run, batch, at_provider)
    if batch.missing_since is not None:
        await run.ledger.off_loop(batches.not_missing, batch.batch_id)
    return False


async def _in_vain(run: Run, batch: OpenBatch, error: CallFailed, seen: Sightings) -> bool:
    """What a look that brought no answer comes to; whether nothing is left to be done."""
    seen.reason = stops_run(error.as_failure())
    seen.refused = seen.refused + 1 if seen.reason else 0
    if batch.provider_batch_id and is_gone(error):
        return await note_missing(run, batch, error)
    log.warning("Batch %s could not be looked at (%s); it is looked at again.", batch.batch_id, error)
    return False
