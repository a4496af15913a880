"""Send: the paid calls. Each attempt is on record before its bytes leave, and settled as its answer comes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from prefect import task
from prefect.cache_policies import NO_CACHE

from rules.endings import billing_terms, succeeded
from rules.prices import Unpriced
from schemas.attempt import Admission, HeldAttempt, Settlement
from schemas.failures import CallFailed, MayBeBilled, Refused
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.payload import Payload
from tasks.start_run import Run, stopping


class _Withheld(Exception):  # noqa: N818 - not an error: the run stopped while the attempt waited for its turn
    """No byte has left."""


async def send_attempt(run: Run, attempt: HeldAttempt) -> Outcome:
    """Send one attempt and settle it; what its job ends as."""

    async def leaving() -> None:
        if run.stopped:
            raise _Withheld
        await run.journal.leaving(attempt.attempt_id)

    payload = Payload.restored(attempt.payload)
    asked = billing_terms(payload.traits, payload.cache_ttl)
    try:
        card = run.price_card(attempt.model)
        reply = await run.gateway.send(payload.message_body(attempt.model), leaving=leaving)
        settlement = replace(
            succeeded(attempt.attempt_id, card, reply.answer, reply.body, asked),
            tries=reply.tries,
            request_id=reply.request_id,
        )
    except CallFailed as error:
        settlement = _ended_badly(run, attempt, error)
    except _Withheld:
        detail = "the run stopped before it was sent; nothing was billed"
        settlement = _not_sent(attempt, run.stopped or Reason.INTERRUPTED, detail)
    except Unpriced as error:  # its price ended with the day
        settlement = _not_sent(attempt, Reason.NO_ROUTE, f"{error}; it was not sent, and nothing was billed")
    await run.journal.ended(settlement)
    return settlement.outcome or Outcome.FAILED


async def send_all(run: Run, attempts: Sequence[HeldAttempt]) -> int:
    """Send attempts together, as fast as the gateway's limits let them; how many succeeded."""
    outcomes = await asyncio.gather(*(send_attempt(run, attempt) for attempt in attempts))
    return sum(outcome == Outcome.SUCCEEDED for outcome in outcomes)


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


def _not_sent(attempt: HeldAttempt, why: Reason, detail: str) -> Settlement:
    return Settlement(
        attempt.attempt_id, AttemptState.FAILED, Outcome.DEFERRED, tries=0, reason=why, detail=detail
    )


@task(name="send", cache_policy=NO_CACHE, persist_result=False)
async def send(run: Run, admission: Admission) -> int:
    """Send the attempts that an admission holds the money for; how many succeeded."""
    return await send_all(run, admission.held)
