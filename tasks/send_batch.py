"""Send a batch: half price, within 24 hours. On record before it is created, and never created twice."""

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from rules.endings import batch_not_made, kept_from_batch, stops_run, taken_back, withheld
from schemas.attempt import Admission, HeldAttempt
from schemas.batch import OpenBatch, ProviderBatch
from schemas.errors import RunFailed
from schemas.failures import CallFailed, MayBeBilled
from schemas.job import AttemptId
from schemas.outcome import Reason
from schemas.policy_sections import BatchLimits
from services.batch_body import BatchBody
from services.ledger import batches, holds, settle
from services.ledger.reviews.standing import TakenBack
from services.ledger.windows import NoRoomToday
from services.whole_thread import on_whole_thread
from tasks.caching import Caching
from tasks.find_batch import note_doubt, place_of
from tasks.run import Run
from tasks.shards import SHARD_SIZE
from tasks.step import named_step
from tasks.watch_batch import watch

log = logging.getLogger("weighbridge")

#: payloads that are read from the ledger together for a batch, bytes
_PAGE_BYTES = 4_000_000


def batch_item(attempt: HeldAttempt, caching: Caching) -> bytes:
    """One request of a batch as JSON; the attempt's id is its custom_id, which proves later whose it is."""
    return orjson.dumps({"custom_id": attempt.attempt_id, "params": caching.body_of(attempt)})


def packed(attempts: Iterable[HeldAttempt], limits: BatchLimits, caching: Caching) -> Iterator[BatchBody]:
    """The attempts, with their payloads, in batches within the limits; the first jobs of prefixes by themselves.

    Whoever takes a batch closes it.
    """
    body = BatchBody()
    primes = False
    for attempt in attempts:
        item = batch_item(attempt, caching)
        is_prime = bool(attempt.mark and attempt.mark.is_prime)
        is_full = len(body) == limits.max_requests or body.size_with(item) > limits.max_bytes
        if len(body) and (is_full or is_prime != primes):
            yield body
            body = BatchBody()
        primes = is_prime
        body.add(attempt.attempt_id, item)
    if len(body):
        yield body


def batch_bodies(run: Run, held: list[HeldAttempt]) -> Iterator[BatchBody]:
    """The batches of held attempts, which are taken off the list; their payloads are in memory a few at a time."""
    return packed(_with_payloads(run, held), run.policy.batch, run.caching)


def _with_payloads(run: Run, held: list[HeldAttempt]) -> Iterator[HeldAttempt]:
    held.reverse()
    while held:
        yield from holds.with_payloads(run.ledger, run.run_id, _page(held))


def _page(held: list[HeldAttempt]) -> list[HeldAttempt]:
    """The next attempts, taken off the end of the list, whose payloads may be in memory together."""
    page: list[HeldAttempt] = []
    weight = 0
    while held and len(page) < SHARD_SIZE:
        weight += held[-1].payload_bytes
        if page and weight > _PAGE_BYTES:
            break
        page.append(held.pop())
    return page


@named_step("send_batch {admission}")
async def send_batch(run: Run, admission: Admission) -> int:
    """Send held attempts in batches, and wait until every one is settled; how many batches were made.

    Items of one batch do not read what another of them writes to the cache: so the first jobs of shared prefixes have
    batches of their own, and the others of a prefix get their turn when its batch has ended.
    """
    watching: list[asyncio.Task[None]] = []
    primed = {one.attempt_id: one.mark.key for one in admission.held if one.mark and one.mark.is_prime}
    admission.held.sort(key=lambda one: one.attempt_id not in primed)
    try:
        made = await _all_made(run, admission.held, primed, watching)
        ends = await asyncio.gather(*watching, return_exceptions=True)
    finally:
        for watcher in watching:
            watcher.cancel()
    # one that cannot be watched any longer ends the run, once the others have settled what they brought
    for end in ends:
        if end is not None:
            raise end
    return made


async def _all_made(
    run: Run,
    held: list[HeldAttempt],
    primed: Mapping[AttemptId, str],
    watching: list[asyncio.Task[None]],
) -> int:
    """Put held attempts into batches and create them; how many were made.

    Args:
        run: the run.
        held: the attempts; none is left on the list.
        primed: the prefixes of the first jobs, by attempt.
        watching: what watches each batch is added.
    """
    made = 0
    async with run.making:
        bodies = batch_bodies(run, held)
        while (body := await on_whole_thread(next, bodies, None)) is not None:
            keys = [primed[one] for one in map(AttemptId, body.ids) if one in primed]
            with body:
                batch = await submit(run, body)
            made += batch is not None
            watching.append(asyncio.create_task(_watched(run, batch, keys)))
    return made


async def _watched(run: Run, batch: OpenBatch | None, primed: Sequence[str]) -> None:
    """Watch a batch, if it was made, until it has ended; then the other jobs of these prefixes may go."""
    try:
        if batch is not None:
            await watch(run, batch)
    finally:
        for key in primed:
            run.caching.prime_ended(key)


async def submit(run: Run, body: BatchBody) -> OpenBatch | None:
    """One batch on record and with the provider; None when it surely was not made.

    A batch whose creation brought no answer is returned without the provider's id: whoever watches it looks for it.
    """
    ids = [AttemptId(custom_id) for custom_id in body.ids]
    if run.halt.reason:
        await _withhold(run, ids, run.halt.reason)
        return None
    if run.is_at_risk:
        await run.ledger.off_loop(settle.settle_all, [kept_from_batch(attempt_id) for attempt_id in ids])
        return None
    today = run.scale.today(run.run_id)
    batch = batches.new_batch(run.run_id, len(ids), place_of(run))
    try:
        await run.ledger.off_loop(batches.prepare, run.reference.key, batch, ids, body.size, today)
    except NoRoomToday as error:
        await _withhold(run, error.staying, Reason.DAY_BUDGET)
        return await _without(run, body, error.staying)
    except TakenBack as error:
        ends = [taken_back(attempt_id, end) for attempt_id, end in error.ends.items()]
        await run.ledger.off_loop(settle.settle_all, ends)
        return await _without(run, body, error.ends)
    try:
        made = await run.gateway.create_batch(body)
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


async def _without(run: Run, body: BatchBody, staying: Collection[AttemptId]) -> OpenBatch | None:
    """The batch without the attempts that must not leave; None when there are no others."""
    body.leave_out(staying)
    return await submit(run, body) if len(body) else None


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
