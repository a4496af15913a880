"""Send: the paid calls. Each attempt is on record before its bytes leave, and settled as its answer comes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rules.endings import answered, failed, stops_run, taken_back, unpriced, withheld
from rules.prices import PriceCard, Unpriced
from rules.usage_cost import billing_terms
from schemas.attempt import Admission, HeldAttempt, Settlement
from schemas.failures import CallFailed
from schemas.outcome import AttemptState, Reason
from services.ledger.leaving import LeftBefore
from services.ledger.reviews.standing import TakenBack
from services.ledger.store import NotOwner
from services.ledger.windows import NoRoomToday
from services.limiter import NO_WEIGHT, CallWeight
from tasks.run import Run
from tasks.step import named_step


class _Withheld(Exception):  # noqa: N818 - not an error: the run stopped while the attempt waited for its turn
    """No byte has left."""


@named_step("send {admission}")
async def send(run: Run, admission: Admission) -> int:
    """Send the attempts that an admission holds the money for, as fast as the limits let them; how many succeeded."""
    if run.senders is not None:
        return await run.senders.send(run, admission)
    return await send_here(run, admission.held)


async def send_here(run: Run, attempts: Sequence[HeldAttempt]) -> int:
    """Send attempts that money is held for from this process; how many succeeded."""
    return sum(await asyncio.gather(*(_send_and_settle(run, attempt) for attempt in attempts)))


async def _send_and_settle(run: Run, attempt: HeldAttempt) -> bool:
    """Send one attempt and put its end on record; whether it was answered."""
    try:
        return await _settled(run, attempt)
    finally:
        if attempt.mark and attempt.mark.is_prime:
            run.caching.prime_ended(attempt.mark.key)


async def _settled(run: Run, attempt: HeldAttempt) -> bool:
    try:
        settlement = await _sent(run, attempt)
    except NoRoomToday:
        settlement = withheld(attempt.attempt_id, Reason.DAY_BUDGET)
    except TakenBack as error:
        settlement = taken_back(attempt.attempt_id, error.ends[attempt.attempt_id])
    except LeftBefore:
        # whoever let it leave settles it
        return False
    except NotOwner:
        # whoever owns the run now has closed the attempt, or will
        run.halt.stop(Reason.TAKEN_OVER)
        return False
    await run.journal.ended(settlement)
    return settlement.state == AttemptState.SUCCEEDED


async def _sent(run: Run, attempt: HeldAttempt) -> Settlement:
    """Send one attempt; how it ended."""
    cards: list[PriceCard] = []
    body = run.caching.body_of(attempt)

    async def leaving() -> None:
        if run.halt.reason:
            raise _Withheld
        await run.journal.leaving(attempt.attempt_id)
        # marks may have ended while the attempt waited for its turn
        if attempt.mark and run.caching.has_ended(attempt.mark):
            body.update(run.caching.body_of(attempt))
        # the wait for its turn, or for a locked ledger, may have ended on another day
        cards.append(run.models.price_card(attempt.model, run.scale.clock()))

    try:
        reply = await run.gateway.send(
            body,
            leaving=leaving,
            came_back=partial(run.journal.came_back, attempt.attempt_id),
            weight=_weight(attempt),
        )
    except CallFailed as error:
        failure = error.as_failure()
        run.brake.seen(failure, run.halt)
        run.halt.stop(stops_run(failure))
        return failed(attempt.attempt_id, failure)
    except _Withheld:
        return withheld(attempt.attempt_id, run.halt.reason or Reason.INTERRUPTED)
    except Unpriced as error:
        return unpriced(attempt.attempt_id, str(error))
    run.brake.seen(None, run.halt)
    terms = billing_terms(attempt.traits, attempt.cache_ttl)
    settlement = answered(attempt.attempt_id, cards[-1], reply.answer, reply.body, terms)
    settlement = run.judged(settlement, attempt.expects)
    if attempt.mark and settlement.charge:
        run.caching.measured(attempt.mark.key, settlement.charge, is_prime=attempt.mark.is_prime)
    return replace(settlement, tries=reply.tries, request_id=reply.request_id)


def _weight(attempt: HeldAttempt) -> CallWeight:
    """What a call takes of its model's tokens a minute: the counted input, and all the output that it may have."""
    if attempt.expects is None:
        return NO_WEIGHT
    return CallWeight(input_tokens=attempt.expects.counted, output_tokens=attempt.expects.max_tokens)
