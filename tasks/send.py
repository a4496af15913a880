"""Send: the paid calls. Each attempt is on record before its bytes leave, and settled as its answer comes."""

import asyncio
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload import Payload
from schemas.usage import Usage
from services.failures import CallFailed, MayBeBilled, Refused
from services.gateway import Reply
from services.ledger.holds import Admission, HeldAttempt
from services.ledger.settling import Settlement
from services.prices import BilledTokens
from tasks.start_run import Run, stopping


class _Withheld(Exception):  # noqa: N818 - not an error: the run stopped while the attempt waited for its turn
    """No byte has left."""


async def send_attempt(run: Run, attempt: HeldAttempt) -> Outcome:
    """Send one attempt and settle it; what its job ends as."""

    async def leaving() -> None:
        if run.stopped:
            raise _Withheld
        await run.journal.leaving(attempt.attempt_id)

    body = Payload.restored(attempt.payload).message_body(attempt.model)
    try:
        settlement = _succeeded(run, attempt, await run.gateway.send(body, leaving=leaving))
    except CallFailed as error:
        settlement = _ended_badly(run, attempt, error)
    except _Withheld:
        settlement = _not_sent(attempt, run.stopped or Reason.INTERRUPTED)
    await run.journal.ended(settlement)
    return settlement.outcome


async def send_all(run: Run, attempts: Sequence[HeldAttempt]) -> int:
    """Send attempts together, as fast as the gateway's limits let them; how many succeeded."""
    outcomes = await asyncio.gather(*(send_attempt(run, attempt) for attempt in attempts))
    return sum(outcome == Outcome.SUCCEEDED for outcome in outcomes)


def billed(usage: Usage) -> BilledTokens:
    """Usage by rate. Writes without a breakdown by time to live are taken at the dearer rate."""
    written = usage.cache_write_tokens
    short = usage.cache_creation.ephemeral_5m_input_tokens if usage.cache_creation else 0
    return BilledTokens(
        input=usage.input_tokens,
        output=usage.output_tokens,
        cache_write_5m=min(short, written),
        cache_write_1h=written - min(short, written),
        cache_read=usage.cache_read_tokens,
    )


def _succeeded(run: Run, attempt: HeldAttempt, reply: Reply) -> Settlement:
    usage = reply.answer.usage
    return Settlement(
        attempt.attempt_id,
        AttemptState.SUCCEEDED,
        Outcome.SUCCEEDED,
        tries=reply.tries,
        cost=run.prices[attempt.model].price(billed(usage)),
        input_tokens=usage.total_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        output_tokens=usage.output_tokens,
        usage=usage.model_dump(mode="json"),
        stop_reason=reply.answer.stop_reason,
        request_id=reply.request_id,
        response=reply.body,
    )


def _ended_badly(run: Run, attempt: HeldAttempt, error: CallFailed) -> Settlement:
    """The end of an attempt that brought no answer: released when surely not billed, else held on."""
    detail = str(error)
    state, outcome, reason = AttemptState.FAILED, Outcome.FAILED, Reason.API_UNAVAILABLE
    if isinstance(error, MayBeBilled):
        state, outcome, reason = AttemptState.UNKNOWN, Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME
        detail += "; it may have been billed, so its hold stays until a person decides"
    elif why := stopping(error):
        run.stopped = why
        outcome, reason = Outcome.DEFERRED, why
    elif isinstance(error, Refused):
        reason = Reason.REFUSED_BY_API
        detail = f"{error}: {error.explanation}"
    return Settlement(
        attempt.attempt_id,
        state,
        outcome,
        tries=error.tries,
        reason=reason,
        detail=detail,
        request_id=error.request_id,
    )


def _not_sent(attempt: HeldAttempt, why: Reason) -> Settlement:
    detail = "the run stopped before it was sent; nothing was billed"
    return Settlement(
        attempt.attempt_id, AttemptState.FAILED, Outcome.DEFERRED, tries=0, reason=why, detail=detail
    )


@task(name="send", cache_policy=NO_CACHE, persist_result=False)
async def send(run: Run, admission: Admission) -> int:
    """Send the attempts that an admission holds the money for; how many succeeded."""
    return await send_all(run, admission.held)
