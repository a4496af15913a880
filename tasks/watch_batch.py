"""Watch a batch: find it if its creation brought no answer, wait until it has ended, settle every item."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import ValidationError

from rules.call_failures import ApiError, failure_of_item
from rules.endings import (
    answered,
    batch_left_it,
    batch_never_made,
    each_unknown,
    item_failed,
    stops_run,
    unknown,
)
from rules.usage_cost import billing_terms
from schemas.attempt import Settlement, UnsettledAttempt
from schemas.batch import OpenBatch, ProviderBatch
from schemas.failures import CallFailed, Refused
from schemas.outcome import Reason
from schemas.usage import Answer
from services.ledger import batches, settle
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("weighbridge")

#: how far the provider's clock may lie behind ours
_CLOCK_SKEW = timedelta(hours=1)
_FIRST_PAUSE = 0.5
#: results that were read to their end so often, and still lack items, will not have them
_MOST_READINGS = 3
_GROUP = 500


class Pause:
    """A pause that grows from half a second to the policy's longest."""

    def __init__(self, longest: float) -> None:
        self._next = min(_FIRST_PAUSE, longest)
        self._longest = longest

    async def wait(self) -> None:
        await asyncio.sleep(self._next)
        self._next = min(self._next * 1.5, self._longest)


@step
async def watch_batch(run: Run, batch: OpenBatch) -> None:
    """Wait until a batch of an earlier run has ended, and settle every item of it."""
    await watch(run, batch)


async def watch(run: Run, batch: OpenBatch) -> None:
    """Wait until a batch has ended, and settle every item of it."""
    pause = Pause(float(run.policy.batch.poll_seconds))
    not_ours: set[str] = set()
    while not await look(run, batch.batch_id, not_ours):
        await pause.wait()


async def look(run: Run, batch_id: str, not_ours: set[str] | None = None) -> bool:
    """Look at a batch once, and settle it when it has ended; whether nothing is left to be done.

    Args:
        run: the run that looks.
        batch_id: ours.
        not_ours: the provider's ids of batches that were shown not to be it; what is found is added.
    """
    batch = await run.ledger.off_loop(batches.open_batch, batch_id)
    if batch is None:
        return True
    try:
        provider_id = batch.provider_batch_id or await find(
            run, batch, set() if not_ours is None else not_ours
        )
        if provider_id is None:
            return False
        seen = await run.gateway.batch(provider_id)
    except CallFailed as error:
        if batch.provider_batch_id and _gone(error):
            await _give_up(run, batch, f"the provider has no such batch any more ({error})")
            return True
        log.warning("Batch %s could not be looked at (%s); it is looked at again.", batch_id, error)
        return False
    if not seen.ended:
        return False
    await ingest(run, batch, seen)
    return True


async def find(run: Run, batch: OpenBatch, not_ours: set[str]) -> str | None:
    """The provider's id of a batch whose creation brought no answer, once that is proven; None until then.

    The provider lists neither custom_ids nor anything of ours, so a batch of the right size is a candidate, and its
    results, when it has ended, are the proof. When none was listed for long enough, it was never made: its jobs go
    back into the queue. Until one or the other is shown, the holds stay.
    """
    since = batch.prepared_at - _CLOCK_SKEW
    known = await run.ledger.off_loop(batches.known_provider_ids, since - _CLOCK_SKEW)
    candidates = [
        seen
        for seen in await run.gateway.batches_since(since)
        if seen.requests == batch.requests and seen.provider_batch_id not in known | not_ours
    ]
    for seen in candidates:
        if seen.ended and await _is_ours(run, batch, seen, not_ours):
            await run.ledger.off_loop(
                batches.submitted, batch.batch_id, seen.provider_batch_id, seen.expires_at
            )
            return seen.provider_batch_id
    left = [seen for seen in candidates if seen.provider_batch_id not in not_ours]
    if not left and _cannot_appear_any_more(run, batch):
        await _release(run, batch)
    return None


def _cannot_appear_any_more(run: Run, batch: OpenBatch) -> bool:
    """Whether a batch that the provider does not list was never made: nobody creates it, and for long enough."""
    if batch.doubtful_since is None:
        return False
    absent_after = timedelta(seconds=float(run.policy.batch.absent_after_seconds))
    return datetime.now(UTC) - batch.doubtful_since > absent_after


def _gone(error: CallFailed) -> bool:
    return isinstance(error, Refused) and error.status == 404


async def _is_ours(run: Run, batch: OpenBatch, seen: ProviderBatch, not_ours: set[str]) -> bool:
    """Whether the first result of a batch is of one of our attempts; a batch is wholly ours or not at all."""
    ours = {attempt.attempt_id for attempt in await run.ledger.off_loop(batches.attempts_of, batch.batch_id)}
    async for line in run.gateway.batch_results(seen.provider_batch_id):
        if line.get("custom_id") in ours:
            return True
        not_ours.add(seen.provider_batch_id)
        return False
    return False


async def _release(run: Run, batch: OpenBatch) -> None:
    """A batch that was never made: its attempts failed unbilled, and their jobs are queued again."""
    left = await run.ledger.off_loop(batches.attempts_of, batch.batch_id)
    ends = [batch_never_made(attempt.attempt_id) for attempt in left]
    await run.ledger.off_loop(
        batches.absent, batch.batch_id, "its batch was never made; nothing was billed", ends
    )


async def ingest(run: Run, batch: OpenBatch, seen: ProviderBatch) -> None:
    """Settle every item of a batch that has ended, from its results, however often the stream is cut."""
    pause = Pause(float(run.policy.batch.poll_seconds))
    readings = 0
    while True:
        try:
            await _read_results(run, batch, seen)
            readings += 1
        except CallFailed as error:
            # results that are gone will not come back: that counts as having read them
            readings += _gone(error)
            log.warning("The results of batch %s were cut (%s); they are read again.", batch.batch_id, error)
        left = await run.ledger.off_loop(batches.attempts_of, batch.batch_id)
        if not left:
            await run.ledger.off_loop(batches.ended, batch.batch_id, seen.counts)
            return
        if readings == _MOST_READINGS:
            await _give_up(
                run, batch, f"the results that can be read lack {len(left)} of {seen.requests} items"
            )
            return
        await pause.wait()


async def _read_results(run: Run, batch: OpenBatch, seen: ProviderBatch) -> None:
    left = await run.ledger.off_loop(batches.attempts_of, batch.batch_id)
    waiting: dict[Any, UnsettledAttempt] = {attempt.attempt_id: attempt for attempt in left}
    group: list[Settlement] = []
    try:
        async for line in run.gateway.batch_results(seen.provider_batch_id):
            attempt = waiting.pop(line.get("custom_id"), None)
            if attempt is None:  # it was settled before, or is nobody's
                continue
            group.append(item_end(run, attempt, line.get("result") or {}))
            if len(group) == _GROUP:
                full, group = group, []
                await run.ledger.off_loop(settle.settle_all, full)
    finally:
        await run.ledger.off_loop(settle.settle_all, group)


def item_end(run: Run, attempt: UnsettledAttempt, result: dict[str, Any]) -> Settlement:
    """The end of one item. Only `succeeded` is billed (source: Anthropic batch processing page, 2026-10-08)."""
    match result.get("type"):
        case "succeeded":
            return _answered(run, attempt, result.get("message"))
        case "errored":
            failure = failure_of_item(ApiError.of((result.get("error") or {}).get("error")))
            run.halt.stop(stops_run(failure))
            return item_failed(attempt, failure)
        case "expired":
            return batch_left_it(attempt.attempt_id, Reason.BATCH_EXPIRED)
        case "canceled":
            return batch_left_it(attempt.attempt_id, Reason.BATCH_CANCELED)
        case _:
            return unknown(attempt.attempt_id, "its result is of a kind that is not known")


def _answered(run: Run, attempt: UnsettledAttempt, message: Any) -> Settlement:
    try:
        answer = Answer.model_validate(message)
    except ValidationError:
        return unknown(attempt.attempt_id, "its answer or usage cannot be read (billing partial)")
    card = run.models.price_card(attempt.model, attempt.opened_at)
    terms = billing_terms(attempt.traits, attempt.cache_ttl, batch=True)
    return answered(attempt.attempt_id, card, answer, orjson.dumps(message).decode(), terms)


async def _give_up(run: Run, batch: OpenBatch, why: str) -> None:
    """Leave what the provider no longer reports on to a person; the holds stay."""
    left: Sequence[UnsettledAttempt] = await run.ledger.off_loop(batches.attempts_of, batch.batch_id)
    await run.ledger.off_loop(settle.settle_all, each_unknown(left, why))
    await run.ledger.off_loop(batches.ended, batch.batch_id, {"lost": len(left)})
    log.warning("Batch %s: %s. %s attempts are of unknown outcome.", batch.batch_id, why, len(left))
