"""Send a batch: half price, within 24 hours. On record before it is created, and never created twice."""

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from rules.endings import batch_not_made, stops_run, withheld
from schemas.attempt import Admission, HeldAttempt
from schemas.batch import OpenBatch
from schemas.failures import CallFailed, MayBeBilled
from schemas.job import AttemptId
from schemas.payload.payload import Payload
from schemas.policy import BatchLimits
from services.ledger import batches, settle
from tasks.run import Run
from tasks.step import step
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


@step
async def send_batch(run: Run, admission: Admission) -> int:
    """Send held attempts in batches, and wait until every one is settled; how many batches were made."""
    made = 0
    watching: list[asyncio.Task[None]] = []
    try:
        for items, size in packed(admission.held, run.policy.batch):
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
    if run.halt.reason:
        ends = [withheld(attempt_id, run.halt.reason) for attempt_id in ids]
        await run.ledger.off_loop(settle.settle_all, ends)
        return None
    batch = await run.ledger.off_loop(batches.prepare, run.run_id, ids, size)
    try:
        made = await run.gateway.create_batch(items)
    except MayBeBilled:
        await run.ledger.off_loop(batches.doubtful, batch.batch_id)
        return batch
    except CallFailed as error:
        failure = error.as_failure()
        run.halt.stop(stops_run(failure))
        ends = [batch_not_made(attempt_id, failure) for attempt_id in ids]
        await run.ledger.off_loop(batches.absent, batch.batch_id, str(error), ends)
        return None
    on_record = await run.ledger.off_loop(
        batches.submitted, batch.batch_id, made.provider_batch_id, made.expires_at
    )
    if not on_record:  # this machine was taken for dead meanwhile, and the jobs may be with another run
        log.error("Batch %s was given up while it was created; it is cancelled.", batch.batch_id)
        await run.gateway.cancel_batch(made.provider_batch_id)
        return None
    return replace(batch, provider_batch_id=made.provider_batch_id)
