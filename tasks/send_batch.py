"""Send a batch: half price, within 24 hours. On record before it is created, and never created twice."""

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from rules.endings import batch_not_made, kept_from_batch, stops_run, withheld
from schemas.attempt import Admission, HeldAttempt
from schemas.batch import OpenBatch, ProviderBatch
from schemas.errors import RunFailed
from schemas.failures import CallFailed, MayBeBilled
from schemas.job import AttemptId
from schemas.outcome import Reason
from schemas.policy_sections import BatchLimits
from services.ledger import batches, settle
from services.ledger.windows import NoRoomToday
from tasks.caching import Caching
from tasks.find_batch import note_doubt, place_of
from tasks.run import Run
from tasks.step import named_step
from tasks.watch_batch import watch

log = logging.getLogger("weighbridge")

#: {"requests":[…]} around the items
_ENVELOPE_BYTES = len('{"requests":[]}')
Item = dict[str, Any]


def batch_item(attempt: HeldAttempt, caching: Caching) -> Item:
    """One request of a batch; the attempt's id is its custom_id, which proves later whose it is."""
    return {"custom_id": attempt.attempt_id, "params": caching.body_of(attempt)}


def item_bytes(item: Item) -> int:
    """What an item takes of the request's body, as the SDK serialises it."""
    return len(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode())


def body_bytes(items: Sequence[Item]) -> int:
    """The size of the request that creates a batch of these items, which are not none."""
    return _ENVELOPE_BYTES + sum(map(item_bytes, items)) + len(items) - 1


def packed(
    attempts: Iterable[HeldAttempt], limits: BatchLimits, caching: Caching
) -> Iterator[tuple[list[Item], int]]:
    """The attempts in batches within the limits, each with its size in bytes; the first jobs of prefixes by themselves."""
    items: list[Item] = []
    size = _ENVELOPE_BYTES
    primes = False
    for attempt in attempts:
        item = batch_item(attempt, caching)
        is_prime = bool(attempt.mark and attempt.mark.is_prime)
        more = item_bytes(item) + (1 if items else 0)  # the comma before it
        is_full = len(items) == limits.max_requests or size + more > limits.max_bytes
        if items and (is_full or is_prime != primes):
            yield items, size
            items, size, more = [], _ENVELOPE_BYTES, more - 1
        primes = is_prime
        items.append(item)
        size += more
    if items:
        yield items, size


@named_step("send_batch {admission}")
async def send_batch(run: Run, admission: Admission) -> int:
    """Send held attempts in batches, and wait until every one is settled; how many batches were made.

    Items of one batch do not read what another of them writes to the cache: so the first jobs of shared prefixes have
    batches of their own, and the others of a prefix get their turn when its batch has ended.
    """
    made = 0
    watching: list[asyncio.Task[None]] = []
    primed = {one.attempt_id: one.mark.key for one in admission.held if one.mark and one.mark.is_prime}
    admission.held.sort(key=lambda one: one.attempt_id not in primed)
    try:
        for items, size in packed(_taken(admission.held), run.policy.batch, run.caching):
            keys = [primed[item["custom_id"]] for item in items if item["custom_id"] in primed]
            batch = await submit(run, items, size)
            items.clear()  # a batch is watched for hours: its payloads need not stay in memory
            if batch is not None:
                made += 1
            watching.append(asyncio.create_task(_watched(run, batch, keys)))
        ends = await asyncio.gather(*watching, return_exceptions=True)
    finally:
        for watcher in watching:
            watcher.cancel()
    # one that cannot be watched any longer ends the run, once the others have settled what they brought
    for end in ends:
        if end is not None:
            raise end
    return made


async def _watched(run: Run, batch: OpenBatch | None, primed: Sequence[str]) -> None:
    """Watch a batch, if it was made, until it has ended; then the other jobs of these prefixes may go."""
    try:
        if batch is not None:
            await watch(run, batch)
    finally:
        for key in primed:
            run.caching.prime_ended(key)


def _taken(attempts: list[HeldAttempt]) -> Iterator[HeldAttempt]:
    """The attempts in their order, each taken off the list, so that nothing keeps its payload."""
    attempts.reverse()
    while attempts:
        yield attempts.pop()


async def submit(run: Run, items: Sequence[Item], size: int) -> OpenBatch | None:
    """One batch on record and with the provider; None when it surely was not made.

    A batch whose creation brought no answer is returned without the provider's id: whoever watches it looks for it.
    """
    ids = [AttemptId(item["custom_id"]) for item in items]
    if run.halt.reason:
        await _withhold(run, ids, run.halt.reason)
        return None
    if run.is_at_risk:
        await run.ledger.off_loop(settle.settle_all, [kept_from_batch(attempt_id) for attempt_id in ids])
        return None
    today = run.scale.today(run.run_id)
    try:
        batch = await run.ledger.off_loop(batches.prepare, run.reference.key, ids, size, place_of(run), today)
    except NoRoomToday as error:
        await _withhold(run, error.staying, Reason.DAY_BUDGET)
        rest = [item for item in items if item["custom_id"] not in error.staying]
        return await submit(run, rest, body_bytes(rest)) if rest else None
    try:
        made = await run.gateway.create_batch(items)
    except MayBeBilled:
        note_doubt(batch.batch_id)
        await run.ledger.off_loop(batches.doubtful, batch.batch_id)
        return batch
    except CallFailed as error:
        failure = error.as_failure()
        run.halt.stop(stops_run(failure))
        ends = [batch_not_made(attempt_id, failure) for attempt_id in ids]
        await run.ledger.off_loop(batches.absent, batch.batch_id, str(error), ends)
        return None
    on_record = await run.ledger.off_loop(
        batches.submitted, batch.batch_id, made.provider_batch_id, made.expires_at, place_of(run)
    )
    if not on_record:
        await _cancel(run, batch, made)
    return replace(batch, provider_batch_id=made.provider_batch_id)


async def _withhold(run: Run, ids: Iterable[AttemptId], reason: Reason) -> None:
    """End attempts that must not leave."""
    await run.ledger.off_loop(settle.settle_all, [withheld(attempt_id, reason) for attempt_id in ids])


async def _cancel(run: Run, batch: OpenBatch, made: ProviderBatch) -> None:
    """Cancel a batch that another process gave up while it was created: its jobs may be with another run.

    What it answers before it stops is billed, so it stays on record until it has ended.
    """
    log.error("Batch %s was given up while it was created; it is cancelled.", batch.batch_id)
    await run.ledger.off_loop(batches.made_after_all, batch.batch_id, made.provider_batch_id, made.expires_at)
    try:
        await run.gateway.cancel_batch(made.provider_batch_id)
    except RunFailed as error:
        log.warning("%s What it brings is booked by `weighbridge collect`.", error)
