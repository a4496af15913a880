"""Send a batch: half price, within 24 hours. On record before it is created, and never created twice."""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.attempt import Admission, HeldAttempt, Settlement
from schemas.batch import OpenBatch
from schemas.failures import CallFailed, MayBeBilled, Refused
from schemas.job import AttemptId
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.payload import Payload
from schemas.policy import BatchLimits
from services.ledger import batches
from services.ledger.settle import record_sent_and_settled
from tasks.start_run import Run, stopping
from tasks.watch_batch import watch

log = logging.getLogger("weighbridge")

#: {"requests":[…]} around the items
_ENVELOPE_BYTES = len('{"requests":[]}')
Item = dict[str, Any]


def batch_item(attempt: HeldAttempt) -> Item:
    """One request of a batch; the attempt's id is its custom_id, which proves later whose it is."""
    return {
        "custom_id": attempt.attempt_id,
        "params": Payload.restored(attempt.payload).message_body(attempt.model),
    }


def item_bytes(item: Item) -> int:
    """What an item takes of the request's body, as the SDK serialises it."""
    return len(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode())


def packed(attempts: Sequence[HeldAttempt], limits: BatchLimits) -> Iterator[tuple[list[Item], int]]:
    """The attempts in batches within the limits, each with its size in bytes."""
    items: list[Item] = []
    size = _ENVELOPE_BYTES
    for attempt in attempts:
        item = batch_item(attempt)
        more = item_bytes(item) + (1 if items else 0)  # the comma before it
        if items and (len(items) == limits.max_requests or size + more > limits.max_bytes):
            yield items, size
            items, size, more = [], _ENVELOPE_BYTES, more - 1
        items.append(item)
        size += more
    if items:
        yield items, size


async def send_packed(run: Run, attempts: Sequence[HeldAttempt]) -> int:
    """Submit attempts in batches and wait until every one is settled; how many batches were made."""
    made = 0
    watching: list[asyncio.Task[None]] = []
    try:
        for items, size in packed(attempts, run.policy.batch):
            batch = await submit(run, items, size)
            if batch is not None:
                made += 1
                watching.append(asyncio.create_task(watch(run, batch)))
        await asyncio.gather(*watching)
    finally:
        for watcher in watching:
            watcher.cancel()
    return made


async def submit(run: Run, items: Sequence[Item], size: int) -> OpenBatch | None:
    """One batch on record and with the provider; None when it surely was not made.

    A batch whose creation brought no answer is returned without the provider's id: whoever watches it looks for it.
    """
    ids = [AttemptId(item["custom_id"]) for item in items]
    if run.stopped:
        await asyncio.to_thread(
            record_sent_and_settled,
            run.ledger,
            (),
            [_withheld(attempt_id, run.stopped) for attempt_id in ids],
        )
        return None
    batch = await asyncio.to_thread(batches.prepare, run.ledger, run.run_id, ids, size)
    run.watched.add(batch.batch_id)
    try:
        made = await run.gateway.create_batch(items)
    except MayBeBilled:
        await asyncio.to_thread(batches.doubtful, run.ledger, batch.batch_id)
        return batch
    except CallFailed as error:
        ends = [_not_made(attempt_id, run, error) for attempt_id in ids]
        await asyncio.to_thread(batches.absent, run.ledger, batch.batch_id, str(error), ends)
        return None
    on_record = await asyncio.to_thread(
        batches.submitted, run.ledger, batch.batch_id, made.provider_batch_id, made.expires_at
    )
    if not on_record:  # this machine was taken for dead meanwhile, and the jobs may be with another run
        log.error("Batch %s was given up while it was created; it is cancelled.", batch.batch_id)
        await run.gateway.cancel_batch(made.provider_batch_id)
        return None
    return OpenBatch(batch.batch_id, run.run_id, made.provider_batch_id, batch.requests, batch.prepared_at)


def _withheld(attempt_id: AttemptId, why: Reason) -> Settlement:
    detail = "the run stopped before it was sent; nothing was billed"
    return Settlement(attempt_id, AttemptState.FAILED, Outcome.DEFERRED, tries=0, reason=why, detail=detail)


def _not_made(attempt_id: AttemptId, run: Run, error: CallFailed) -> Settlement:
    """The end of an attempt whose batch the API surely did not take."""
    outcome, reason, detail = (
        Outcome.FAILED,
        Reason.API_UNAVAILABLE,
        f"its batch could not be created: {error}",
    )
    if why := stopping(error):
        run.stopped = why
        outcome, reason = Outcome.DEFERRED, why
    elif isinstance(error, Refused):
        reason, detail = Reason.REFUSED_BY_API, f"its batch was refused: {error}: {error.explanation}"
    return Settlement(
        attempt_id, AttemptState.FAILED, outcome, tries=error.tries, reason=reason, detail=detail
    )


@task(name="send_batch", cache_policy=NO_CACHE, persist_result=False)
async def send_batch(run: Run, admission: Admission) -> int:
    """Send held attempts in batches and settle them as they end; how many batches were made."""
    return await send_packed(run, admission.held)
