"""Find a batch whose creation brought no answer."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rules.endings import batch_never_made
from schemas.batch import BatchPlace, OpenBatch, ProviderBatch
from schemas.failures import CallFailed
from services.ledger import batch_attempts, batches
from tasks.run import Run

log = logging.getLogger("weighbridge")

#: a batch is looked for among those created up to this long before it went on record: clocks differ, its size and results decide
LOOK_BACK = timedelta(hours=24)
#: how far a machine's clock may have been stepped since another process wrote a moment down
CLOCK_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Since when this process knows that a creation is over without an answer.

    Attributes:
        since: by the process's own clock, which nobody steps, in seconds.
        from_its_beginning: whether this process itself asked for the creation.
    """

    since: float
    from_its_beginning: bool


#: of this process, by batch
_doubts: dict[str, _Doubt] = {}


def note_doubt(batch_id: str) -> None:
    """Remember that the creation that this process asked for is over and brought no answer."""
    _doubts[batch_id] = _Doubt(time.monotonic(), from_its_beginning=True)


def place_of(run: Run) -> BatchPlace:
    """Where a run's batches are made."""
    return BatchPlace(run.gateway.endpoint, run.gateway.workspace)


def elsewhere(run: Run, batch: OpenBatch) -> str | None:
    """Whose batch it is and how to collect it, when it surely is not of the endpoint and workspace of a run."""
    if not batch.place.contradicts(place_of(run)):
        return None
    return (
        f"Batch {batch.batch_id} of {batch.run_id} belongs to {batch.place}, and this is {place_of(run)}. It was left "
        "alone and its holds stay; run `weighbridge collect` with ANTHROPIC_BASE_URL and the key of that place."
    )


async def find(run: Run, batch: OpenBatch, not_ours: set[str]) -> str | None:
    """The provider's id of a batch whose creation brought no answer, once that is proven; None until then.

    The provider lists neither custom_ids nor anything of ours, so a batch of the right size is a candidate, and its
    results, when it has ended, are the proof. When none was listed for long enough, it was never made: its jobs go
    back into the queue. Until one or the other is shown, the holds stay.
    """
    candidates = await _candidates(run, batch, not_ours)
    for seen in candidates:
        if seen.ended and await _is_ours(run, batch, seen, not_ours):
            await run.ledger.off_loop(
                batches.submitted, batch.batch_id, seen.provider_batch_id, seen.expires_at, place_of(run)
            )
            _doubts.pop(batch.batch_id, None)
            return seen.provider_batch_id
    left = [seen for seen in candidates if seen.provider_batch_id not in not_ours]
    # what another workspace does not list proves nothing
    if not left and batch.place.is_shown_by(place_of(run)) and _cannot_appear_any_more(run, batch):
        await _release(run, batch)
    return None


async def _candidates(run: Run, batch: OpenBatch, not_ours: set[str]) -> list[ProviderBatch]:
    skew = abs(run.gateway.clock_skew or timedelta())
    listed = await run.gateway.batches_since(batch.prepared_at - LOOK_BACK - skew)
    of_size = [
        seen for seen in listed if seen.requests == batch.requests and seen.provider_batch_id not in not_ours
    ]
    known = await run.ledger.off_loop(batches.accounted_for, [seen.provider_batch_id for seen in of_size])
    return [seen for seen in of_size if seen.provider_batch_id not in known]


def _cannot_appear_any_more(run: Run, batch: OpenBatch) -> bool:
    """Whether a batch that the provider does not list was never made: nobody creates it, and for long enough."""
    if batch.doubtful_since is None:
        return False
    doubt = _doubts.setdefault(batch.batch_id, _Doubt(time.monotonic(), from_its_beginning=False))
    absent_after = float(run.policy.batch.absent_after_seconds)
    if time.monotonic() - doubt.since > absent_after:
        return True
    if doubt.from_its_beginning:
        return False
    margin = CLOCK_MARGIN + abs(run.gateway.clock_skew or timedelta())
    return datetime.now(UTC) - batch.doubtful_since > timedelta(seconds=absent_after) + margin


async def _is_ours(run: Run, batch: OpenBatch, seen: ProviderBatch, not_ours: set[str]) -> bool:
    """Whether the first result of a batch is of one of our attempts; a batch is wholly ours or not at all."""
    ours = await run.ledger.off_loop(batch_attempts.ids_of, batch.batch_id)
    try:
        async for line in run.gateway.batch_results(seen):
            if line.custom_id in ours:
                return True
            if line.custom_id is not None:
                not_ours.add(seen.provider_batch_id)
                return False
    except CallFailed as error:
        log.warning(
            "The results of %s, which may be batch %s, could not be read (%s); they are read again.",
            seen.provider_batch_id,
            batch.batch_id,
            error,
        )
    return False


async def _release(run: Run, batch: OpenBatch) -> None:
    """A batch that was never made: its attempts failed unbilled, and their jobs are queued again."""
    left = await run.ledger.off_loop(batch_attempts.attempts_of, batch.batch_id)
    ends = [batch_never_made(attempt.attempt_id) for attempt in left]
    await run.ledger.off_loop(
        batches.absent, batch.batch_id, "its batch was never made; nothing was billed", ends
    )
    _doubts.pop(batch.batch_id, None)
