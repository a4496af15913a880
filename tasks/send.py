"""Send: the paid calls. Each attempt is on record before its bytes leave, and settled as its answer comes."""

import asyncio
from dataclasses import replace

from rules.endings import answered, failed, stops_run, unpriced, withheld
from rules.prices import Unpriced
from rules.usage_cost import billing_terms
from schemas.attempt import Admission, HeldAttempt, Settlement
from schemas.failures import CallFailed
from schemas.outcome import AttemptState, Reason
from schemas.payload.payload import Payload
from tasks.run import Run
from tasks.step import step


class _Withheld(Exception):  # noqa: N818 - not an error: the run stopped while the attempt waited for its turn
    """No byte has left."""


@step
async def send(run: Run, admission: Admission) -> int:
    """Send the attempts that an admission holds the money for, as fast as the limits let them; how many succeeded."""
    settled = await asyncio.gather(*(_send_and_settle(run, attempt) for attempt in admission.held))
    return sum(settlement.state == AttemptState.SUCCEEDED for settlement in settled)


async def _send_and_settle(run: Run, attempt: HeldAttempt) -> Settlement:
    settlement = await _sent(run, attempt)
    await run.journal.ended(settlement)
    return settlement


async def _sent(run: Run, attempt: HeldAttempt) -> Settlement:
    """Send one attempt; how it ended."""

    async def leaving() -> None:
        if run.halt.reason:
            raise _Withheld
        await run.journal.leaving(attempt.attempt_id)

    payload = Payload.restored(attempt.payload)
    try:
        card = run.models.price_card(attempt.model, run.scale.clock())
        reply = await run.gateway.send(payload.message_body(attempt.model), leaving=leaving)
    except CallFailed as error:
        failure = error.as_failure()
        run.halt.stop(stops_run(failure))
        return failed(attempt.attempt_id, failure)
    except _Withheld:
        return withheld(attempt.attempt_id, run.halt.reason or Reason.INTERRUPTED)
    except Unpriced as error:
        return unpriced(attempt.attempt_id, str(error))
    terms = billing_terms(attempt.traits, attempt.cache_ttl)
    settlement = answered(attempt.attempt_id, card, reply.answer, reply.body, terms)
    return replace(settlement, tries=reply.tries, request_id=reply.request_id)
