"""Give a batch up: what it did not bring is left to a person, such as when the provider says that it has no such batch."""

import logging
from datetime import UTC, datetime, timedelta

from rules.endings import unknown
from schemas.batch import OpenBatch
from schemas.failures import CallFailed, Refused
from services.ledger import batch_attempts, batches
from tasks.find_batch import place_of
from tasks.run import Run

log = logging.getLogger("weighbridge")

#: how long the provider may say that it has no such batch before its items are left to a person
MISSING_FOR = timedelta(hours=24)


def is_gone(error: CallFailed) -> bool:
    """Whether the provider says that it has no such thing."""
    return isinstance(error, Refused) and error.status == 404


async def note_missing(run: Run, batch: OpenBatch, error: CallFailed) -> bool:
    """What a 404 of a batch that this ledger made comes to: it passes, until it has lasted a day; whether it is given up."""
    if not batch.place.is_shown_by(place_of(run)):
        log.warning("Batch %s of %s is not looked for at %s.", batch.batch_id, batch.place, place_of(run))
        return False
    since = await run.ledger.off_loop(batches.missing, batch.batch_id)
    if batch.given_up_at is not None:
        return True
    if datetime.now(UTC) - since < MISSING_FOR:
        log.warning(
            "Batch %s was not found (%s); it is looked for again, and its holds stay.", batch.batch_id, error
        )
        return False
    await give_up(run, batch, f"the provider says it has no such batch any more ({error})")
    return True


async def give_up(run: Run, batch: OpenBatch, why: str, kept: dict[str, str] | None = None) -> None:
    """Leave what a batch did not bring to a person; the holds stay, and `collect` looks at it again.

    Args:
        run: the run that looked.
        batch: the batch.
        why: in words.
        kept: what came of an attempt and cannot be read, by its id.
    """
    kept = kept or {}
    left = await run.ledger.off_loop(batch_attempts.attempts_of, batch.batch_id)
    ends = [unknown(attempt.attempt_id, why) for attempt in left if attempt.attempt_id not in kept]
    broken = [
        unknown(
            attempt.attempt_id, "its line in the results of its batch is not JSON", kept[attempt.attempt_id]
        )
        for attempt in left
        if attempt.attempt_id in kept
    ]
    await run.ledger.off_loop(batch_attempts.settle_items, broken)
    await run.ledger.off_loop(batches.given_up, batch.batch_id, why, ends)
    log.warning("Batch %s: %s. %s attempts are of unknown outcome.", batch.batch_id, why, len(left))
