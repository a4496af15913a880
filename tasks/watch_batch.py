"""Watch a batch: find it if its creation brought no answer, wait until it has ended, settle every item."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from prefect import task
from prefect.cache_policies import NO_CACHE
from pydantic import ValidationError

from rules.endings import billing_terms, succeeded
from schemas.attempt import Settlement
from schemas.batch import OpenBatch, ProviderBatch
from schemas.failures import CallFailed, Refused
from schemas.job import AttemptId
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.traits import Traits
from schemas.usage import Answer
from services.ledger import batches
from services.ledger.settle import record_sent_and_settled
from tasks.start_run import Run

log = logging.getLogger("weighbridge")

#: how far the provider's clock may lie behind ours
_CLOCK_SKEW = timedelta(hours=1)
_FIRST_PAUSE = 0.5
#: results that were read to their end so often, and still lack items, will not have them
_MOST_READINGS = 3
_GROUP = 500
#: an item that the provider failed to answer is tried so often in one run
_MOST_TRIES = 3
#: error types of an item that the same request may not meet again (source: Anthropic errors page)
_PASSING_ERRORS = ("api_error", "overloaded_error", "rate_limit_error", "timeout_error")


class Pause:
    """A pause that grows from half a second to the policy's longest."""

    def __init__(self, longest: float) -> None:
        self._next = min(_FIRST_PAUSE, longest)
        self._longest = longest

    async def wait(self) -> None:
        await asyncio.sleep(self._next)
        self._next = min(self._next * 1.5, self._longest)


async def watch(run: Run, batch: OpenBatch) -> None:
    """Wait until a batch has ended, and settle every item of it."""
    pause = Pause(float(run.policy.batch.poll_seconds))
    while not await look(run, batch.batch_id):
        await pause.wait()


async def look(run: Run, batch_id: str) -> bool:
    """Look at a batch once, and settle it when it has ended; whether nothing is left to be done."""
    batch = await asyncio.to_thread(batches.open_batch, run.ledger, batch_id)
    if batch is None:
        return True
    try:
        provider_id = batch.provider_batch_id or await find(run, batch)
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


async def find(run: Run, batch: OpenBatch) -> str | None:
    """The provider's id of a batch whose creation brought no answer, once that is proven; None until then.

    The provider lists neither custom_ids nor anything of ours, so a batch of the right size is a candidate, and its
    results, when it has ended, are the proof. When none was listed for long enough, it was never made: its jobs go
    back into the queue. Until one or the other is shown, the holds stay.
    """
    since = batch.prepared_at - _CLOCK_SKEW
    known = await asyncio.to_thread(batches.known_provider_ids, run.ledger, since - _CLOCK_SKEW)
    candidates = [
        seen
        for seen in await run.gateway.batches_since(since)
        if seen.requests == batch.requests
        and seen.provider_batch_id not in known
        and (batch.batch_id, seen.provider_batch_id) not in run.not_ours
    ]
    for seen in candidates:
        if seen.ended and await _is_ours(run, batch, seen):
            await asyncio.to_thread(
                batches.submitted, run.ledger, batch.batch_id, seen.provider_batch_id, seen.expires_at
            )
            return seen.provider_batch_id
    if not candidates and _cannot_appear_any_more(run, batch):
        await _release(run, batch)
    return None


def _cannot_appear_any_more(run: Run, batch: OpenBatch) -> bool:
    """Whether a batch that the provider does not list was never made: nobody creates it, and for long enough."""
    if batch.doubtful_since is None:
        return False
    return datetime.now(UTC) - batch.doubtful_since > timedelta(
        seconds=float(run.policy.batch.absent_after_seconds)
    )


def _gone(error: CallFailed) -> bool:
    return isinstance(error, Refused) and error.status == 404


async def _is_ours(run: Run, batch: OpenBatch, seen: ProviderBatch) -> bool:
    ours = {
        attempt.attempt_id
        for attempt in await asyncio.to_thread(batches.attempts_of, run.ledger, batch.batch_id)
    }
    async for line in run.gateway.batch_results(seen.provider_batch_id):
        if line.get("custom_id") in ours:
            return True
        run.not_ours.add((batch.batch_id, seen.provider_batch_id))
        return False
    return False


async def _release(run: Run, batch: OpenBatch) -> None:
    """A batch that was never made: its attempts failed unbilled, and their jobs are queued again."""
    detail = "its batch was never made; nothing was billed"
    ends = [
        Settlement(
            AttemptId(a.attempt_id), AttemptState.FAILED, None, reason=Reason.API_UNAVAILABLE, detail=detail
        )
        for a in await asyncio.to_thread(batches.attempts_of, run.ledger, batch.batch_id)
    ]
    await asyncio.to_thread(batches.absent, run.ledger, batch.batch_id, detail, ends)


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
        if not (left := await asyncio.to_thread(batches.attempts_of, run.ledger, batch.batch_id)):
            await asyncio.to_thread(batches.ended, run.ledger, batch.batch_id, seen.counts)
            return
        if readings == _MOST_READINGS:
            await _give_up(
                run, batch, f"the results that can be read lack {len(left)} of {seen.requests} items"
            )
            return
        await pause.wait()


async def _read_results(run: Run, batch: OpenBatch, seen: ProviderBatch) -> None:
    waiting = {
        a.attempt_id: a for a in await asyncio.to_thread(batches.attempts_of, run.ledger, batch.batch_id)
    }
    group: list[Settlement] = []
    try:
        async for line in run.gateway.batch_results(seen.provider_batch_id):
            # a line that came before, or is nobody's, changes nothing
            if attempt := waiting.pop(line.get("custom_id"), None):
                group.append(item_end(run, attempt, line.get("result") or {}))
            if len(group) == _GROUP:
                full, group = group, []
                await asyncio.to_thread(record_sent_and_settled, run.ledger, (), full)
    finally:
        if group:
            await asyncio.to_thread(record_sent_and_settled, run.ledger, (), group)


def item_end(run: Run, attempt: Any, result: dict[str, Any]) -> Settlement:
    """The end of one item. Only `succeeded` is billed (source: Anthropic batch processing page, 2026-10-08)."""
    attempt_id = AttemptId(attempt.attempt_id)
    match result.get("type"):
        case "succeeded":
            return _answered(run, attempt, result.get("message"))
        case "errored":
            return _errored(attempt, ((result.get("error") or {}).get("error")) or {})
        case "expired":
            reason, detail = (
                Reason.BATCH_EXPIRED,
                "its batch expired before it was answered; nothing was billed",
            )
        case "canceled":
            reason, detail = (
                Reason.BATCH_CANCELED,
                "its batch was cancelled before it was answered; nothing was billed",
            )
        case _:
            return _unknown(attempt_id, "its result is of a kind that is not known")
    return Settlement(attempt_id, AttemptState.FAILED, Outcome.DEFERRED, reason=reason, detail=detail)


def _answered(run: Run, attempt: Any, message: Any) -> Settlement:
    attempt_id = AttemptId(attempt.attempt_id)
    try:
        answer = Answer.model_validate(message)
    except ValidationError:
        return _unknown(attempt_id, "its answer or usage cannot be read (billing partial)")
    card = run.price_card(attempt.model, attempt.opened_at)
    asked = billing_terms(Traits.from_json(attempt.traits), attempt.cache_ttl, batch=True)
    return succeeded(attempt_id, card, answer, orjson.dumps(message).decode(), asked)


def _errored(attempt: Any, error: dict[str, Any]) -> Settlement:
    kind = str(error.get("type") or "error")[:60]
    attempt_id = AttemptId(attempt.attempt_id)
    detail = f"{kind}: {str(error.get('message') or '')[:300]}"
    if kind not in _PASSING_ERRORS:
        return Settlement(
            attempt_id, AttemptState.FAILED, Outcome.REJECTED, reason=Reason.REFUSED_BY_API, detail=detail
        )
    outcome = None if attempt.tried < _MOST_TRIES else Outcome.FAILED
    return Settlement(attempt_id, AttemptState.FAILED, outcome, reason=Reason.API_UNAVAILABLE, detail=detail)


def _unknown(attempt_id: AttemptId, why: str) -> Settlement:
    detail = f"{why}; it may have been billed, so its hold stays until a person decides"
    return Settlement(
        attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, detail=detail
    )


async def _give_up(run: Run, batch: OpenBatch, why: str) -> None:
    """Leave what the provider no longer tells of to a person; the holds stay."""
    left = await asyncio.to_thread(batches.attempts_of, run.ledger, batch.batch_id)
    await asyncio.to_thread(
        record_sent_and_settled, run.ledger, (), [_unknown(AttemptId(a.attempt_id), why) for a in left]
    )
    await asyncio.to_thread(batches.ended, run.ledger, batch.batch_id, {"lost": len(left)})
    log.warning("Batch %s: %s. %s attempts are of unknown outcome.", batch.batch_id, why, len(left))


@task(name="watch_batch", cache_policy=NO_CACHE, persist_result=False)
async def watch_batch(run: Run, batch: OpenBatch) -> None:
    """Wait until a batch of an earlier run has ended, and settle every item of it."""
    await watch(run, batch)
