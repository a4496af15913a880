"""How it ends: what an answer, a failure or a stop makes of an attempt and of the jobs that wait for it.

Every ending of a job is made here, whatever step it happens in and whatever mode the job goes out in, so that the same
refusal ends the same way everywhere.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from rules.answer_text import stop_reason_of
from rules.prices import PriceCard
from rules.usage_cost import BillingTerms, charge_of
from schemas.attempt import Charge, SentTry, Settlement, UnsettledAttempt
from schemas.failures import (
    AccessDenied,
    CallFailure,
    EndpointUnusable,
    MayBeBilled,
    Refused,
    SpendLimitReached,
    Transient,
)
from schemas.job import AttemptId
from schemas.money import NanoUsd, usd_text
from schemas.outcome import AttemptState, Billing, Decision, Ending, Outcome, Reason
from schemas.usage import CUT_OFF, Answer

#: an item that the provider failed to answer is tried this often in one run
MOST_TRIES = 3
#: how the error of an attempt ends that its batch left
LEFT_UNANSWERED = "before it was answered; nothing was billed"
_HOLD_STAYS = "it may have been billed, so its hold stays until a person decides"


# ------------------------------------------------------------------------------------------ of a job without an attempt


def rejected(reason: Reason, detail: str) -> Ending:
    """The row itself must be fixed."""
    return Ending(outcome=Outcome.REJECTED, decision=Decision.REJECT, reason=reason, detail=detail)


def parked(reason: Reason, detail: str) -> Ending:
    """A person must decide about it."""
    return Ending(outcome=Outcome.REVIEW, decision=Decision.REVIEW, reason=reason, detail=detail)


def deferred(reason: Reason, detail: str) -> Ending:
    """The next run over the same input takes it up."""
    return Ending(outcome=Outcome.DEFERRED, decision=Decision.DEFER, reason=reason, detail=detail)


def answered_before() -> Ending:
    """An earlier attempt answered the job: it is not paid for again."""
    return Ending(outcome=Outcome.SUCCEEDED, decision=Decision.SEND)


def cut_off(attempt_id: str) -> Ending:
    """Its max_tokens cut its answer off: a person decides. What came is settled and stays with the attempt."""
    detail = (
        f"its answer was cut off at max_tokens; what came is paid for, and kept with attempt {attempt_id}"
    )
    return Ending(outcome=Outcome.REVIEW, decision=Decision.SEND, reason=Reason.CUT_OFF, detail=detail)


def unknown_before(attempt_id: str, run_id: str) -> Ending:
    """An earlier attempt at the job may have been billed, so it is not sent again."""
    detail = f"attempt {attempt_id} of {run_id} may have been billed; its hold stays until a person decides"
    return unknown_outcome(detail)


def unknown_outcome(detail: str) -> Ending:
    """What became of an earlier attempt is not known."""
    return Ending(
        outcome=Outcome.UNKNOWN, decision=Decision.SEND, reason=Reason.UNKNOWN_OUTCOME, detail=detail
    )


def interrupted_before_decision() -> Ending:
    """The run ended early, before the job was decided about."""
    return deferred(
        Reason.INTERRUPTED, "the run was interrupted before this job was decided; the next run takes it up"
    )


def stopped_before_decision(reason: Reason) -> Ending:
    """The run stopped before the job was decided about."""
    return deferred(reason, "the run stopped before this job was decided; the next run takes it up")


def stopped_before_count(reason: Reason) -> Ending:
    """The run stopped before the job was counted."""
    return deferred(reason, "the run stopped before this job was counted; the next run takes it up")


def stops_run(failure: CallFailure) -> Reason | None:
    """Why a failed call stops the whole run, or None when it concerns its own job only."""
    match failure:
        case SpendLimitReached():
            return Reason.PROVIDER_SPEND_LIMIT
        case AccessDenied():
            return Reason.ACCESS_DENIED
        case EndpointUnusable():
            return Reason.ENDPOINT_UNUSABLE
        case Transient() | Refused() | MayBeBilled():
            return None
        case _:
            assert_never(failure)


def uncounted(failure: CallFailure) -> Ending:
    """What a count that could not be had makes of its job. Counting is free, so nothing can have been billed."""
    match failure:
        case Refused():
            return rejected(Reason.REFUSED_BY_API, f"{failure}: {failure.explanation}")
        case SpendLimitReached() | AccessDenied() | EndpointUnusable():
            return stopped_before_count(_reason_to_stop(failure))
        case Transient() | MayBeBilled():
            return Ending(
                outcome=Outcome.FAILED,
                reason=Reason.API_UNAVAILABLE,
                detail=f"it could not be counted: {failure}",
            )
        case _:
            assert_never(failure)


# ---------------------------------------------------------------------------------------------------- of an attempt


def answered(
    attempt_id: AttemptId, card: PriceCard, answer: Answer, body: str, terms: BillingTerms | None = None
) -> Settlement:
    """The end of an answered attempt.

    Args:
        attempt_id: the attempt.
        card: the prices of its model on the day of the call.
        answer: the answer, its usage checked.
        body: the same as JSON text.
        terms: what its request asked for that its bill hangs on; None: nothing.
    """
    return Settlement(
        attempt_id=attempt_id,
        state=AttemptState.SUCCEEDED,
        ending=Ending(outcome=Outcome.SUCCEEDED),
        charge=charge_of(card, answer, terms or BillingTerms()),
        stop_reason=answer.stop_reason,
        response=body,
    )


def dearest(ends: Sequence[Settlement]) -> Settlement:
    """The end of an answered attempt that may have been billed at one of several prices.

    Args:
        ends: its end at each of them, one or more.
    """
    costs = [end.charge.cost if end.charge else 0 for end in ends]
    end = ends[costs.index(max(costs))]
    if end.charge is None or min(costs) == max(costs):
        return end
    return replace(end, charge=replace(end.charge, billing=Billing.PARTIAL))


def cut_off_parked(settlement: Settlement) -> Settlement:
    """The end of an answered attempt under a policy by which a person looks at answers that were cut off."""
    if settlement.state is not AttemptState.SUCCEEDED or settlement.stop_reason != CUT_OFF:
        return settlement
    return replace(settlement, ending=cut_off(settlement.attempt_id))


def failed(attempt_id: AttemptId, failure: CallFailure, *, tries_left: bool = False) -> Settlement:
    """The end of an attempt that brought no answer: its hold is released when it surely was not billed, else it stays.

    Args:
        attempt_id: the attempt.
        failure: why it brought none.
        tries_left: its job may be tried again in this run, if the failure may pass.
    """
    detail = str(failure)
    ending: Ending | None
    match failure:
        case MayBeBilled():
            return replace(_unknown(attempt_id, detail, failure), response=failure.body)
        case SpendLimitReached() | AccessDenied() | EndpointUnusable():
            ending = _left_for_next_run(_reason_to_stop(failure), detail)
        case Refused():
            detail = f"{failure}: {failure.explanation}"
            ending = Ending(outcome=Outcome.REJECTED, reason=Reason.REFUSED_BY_API, detail=detail)
        case Transient():
            ending = Ending(outcome=Outcome.FAILED, reason=Reason.API_UNAVAILABLE, detail=detail)
            if tries_left:
                ending = None
        case _:
            assert_never(failure)
    return _not_billed(attempt_id, ending, detail, failure)


def withheld(attempt_id: AttemptId, reason: Reason) -> Settlement:
    """The run stopped before the attempt's first byte left."""
    return _never_sent(attempt_id, reason, "the run stopped before it was sent; nothing was billed")


def taken_back(attempt_id: AttemptId, ending: Ending) -> Settlement:
    """A person does not let it pass any more, and its first byte has not left."""
    detail = f"{ending.detail}; it was not sent, and nothing was billed"
    return Settlement(attempt_id=attempt_id, state=AttemptState.FAILED, ending=ending, error=detail, tries=0)


def kept_from_batch(attempt_id: AttemptId) -> Settlement:
    """Its answer is due before a batch would surely bring it, and its batch was not created yet."""
    detail = "its answer was due before its batch was created; nothing was billed"
    return _never_sent(attempt_id, Reason.BATCH_CANCELED, detail)


def unpriced(attempt_id: AttemptId, why: str) -> Settlement:
    """The price of its model ended with the day on which its hold was taken."""
    return _never_sent(attempt_id, Reason.NO_ROUTE, f"{why}; it was not sent, and nothing was billed")


def batch_not_made(attempt_id: AttemptId, failure: CallFailure) -> Settlement:
    """The API surely did not take the batch that the attempt was to go out in."""
    settlement = failed(attempt_id, failure)
    if settlement.ending is None or settlement.ending.outcome is not Outcome.REJECTED:
        return settlement
    # what is refused is the batch: no row of it is known to be at fault
    detail = f"its batch was refused: {settlement.error}"
    ending = Ending(outcome=Outcome.FAILED, reason=Reason.REFUSED_BY_API, detail=detail)
    return _not_billed(attempt_id, ending, detail, failure)


def batch_never_made(attempt_id: AttemptId) -> Settlement:
    """The provider never had the batch that the attempt was to go out in: its job goes back into the queue."""
    return _not_billed(attempt_id, None, "its batch was never made; nothing was billed")


def batch_left_it(attempt_id: AttemptId, reason: Reason) -> Settlement:
    """Its batch expired or was cancelled before the attempt was answered."""
    what = "expired" if reason is Reason.BATCH_EXPIRED else "was cancelled"
    detail = f"its batch {what} {LEFT_UNANSWERED}"
    return _not_billed(attempt_id, _left_for_next_run(reason, detail), detail)


def item_failed(attempt: UnsettledAttempt, failure: CallFailure) -> Settlement:
    """The end of an errored item of a batch, which is not billed; a failure that may pass is tried again in the run."""
    return failed(attempt.attempt_id, failure, tries_left=attempt.tried < MOST_TRIES)


def unknown(attempt_id: AttemptId, why: str, body: str | None = None) -> Settlement:
    """Nothing proves what became of it.

    Args:
        attempt_id: the attempt.
        why: in words, without payload text.
        body: what came and cannot be read; it is kept with the attempt.
    """
    return replace(_unknown(attempt_id, why), response=body)


def answered_too_late(attempt_id: AttemptId, charge: Charge) -> Settlement:
    """It was answered after all, when its job had been sent again: what it cost is booked, its answer is not used."""
    detail = "it was answered after its job had been sent again, so the job was paid for twice"
    ending = Ending(outcome=Outcome.FAILED, reason=Reason.UNKNOWN_OUTCOME, detail=detail)
    return Settlement(
        attempt_id=attempt_id, state=AttemptState.FAILED, ending=ending, error=detail, charge=charge
    )


def interrupted(attempt_id: AttemptId, *, sent: bool) -> Settlement:
    """The end of an attempt that its run left open: never sent is released; sent without an answer stays held."""
    if sent:
        detail = "the run was interrupted while it was in flight; it may have been billed"
        ending = Ending(outcome=Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, detail=detail)
        return Settlement(attempt_id=attempt_id, state=AttemptState.UNKNOWN, ending=ending, error=detail)
    detail = "the run was interrupted before it was sent; nothing was billed"
    return _never_sent(attempt_id, Reason.INTERRUPTED, detail)


def booked(attempt_id: AttemptId, cost: NanoUsd, detail: str) -> Settlement:
    """The end of an attempt of unknown outcome whose cost a person looked up.

    Args:
        attempt_id: the attempt.
        cost: nano-USD that were billed.
        detail: what was found, and by whom.
    """
    billing = Billing.PARTIAL if cost else None
    return Settlement(
        attempt_id=attempt_id,
        state=AttemptState.FAILED,
        ending=Ending(outcome=Outcome.FAILED, reason=Reason.UNKNOWN_OUTCOME, detail=detail),
        error=detail,
        charge=Charge(cost=cost, billing=billing),
    )


def accepted(sent: SentTry, raw: str, cost: NanoUsd, by: str) -> Settlement:
    """The end of an attempt of unknown outcome whose raw answer a person accepted, at what they looked up.

    Its tokens are not known, so it teaches nothing. What came stays as it is.

    Args:
        sent: the attempt, with what stays on record of it.
        raw: what came.
        cost: nano-USD that were billed.
        by: who accepted it.
    """
    return Settlement(
        attempt_id=sent.attempt_id,
        state=AttemptState.SUCCEEDED,
        ending=Ending(outcome=Outcome.SUCCEEDED),
        error=f"accepted although it could not be read; it was billed {usd_text(cost)} USD, looked up by {by}",
        # without usage an attempt counts as pruned, and as one that may have lost its answer
        charge=Charge(cost=cost, billing=Billing.PARTIAL, usage={}),
        tries=sent.tries,
        stop_reason=stop_reason_of(raw),
        request_id=sent.request_id,
    )


def _reason_to_stop(failure: SpendLimitReached | AccessDenied | EndpointUnusable) -> Reason:
    reason = stops_run(failure)
    if reason is None:
        raise AssertionError("these three stop the run")
    return reason


def _left_for_next_run(reason: Reason, detail: str) -> Ending:
    """Deferred after it was decided that it is sent, which stays on record."""
    return Ending(outcome=Outcome.DEFERRED, reason=reason, detail=detail)


def _never_sent(attempt_id: AttemptId, reason: Reason, detail: str) -> Settlement:
    return Settlement(
        attempt_id=attempt_id,
        state=AttemptState.FAILED,
        ending=_left_for_next_run(reason, detail),
        error=detail,
        tries=0,
    )


def _not_billed(
    attempt_id: AttemptId, ending: Ending | None, detail: str, failure: CallFailure | None = None
) -> Settlement:
    return Settlement(
        attempt_id=attempt_id,
        state=AttemptState.FAILED,
        ending=ending,
        error=detail,
        tries=failure.tries if failure else 1,
        request_id=failure.request_id if failure else None,
    )


def _unknown(attempt_id: AttemptId, why: str, failure: CallFailure | None = None) -> Settlement:
    detail = f"{why}; {_HOLD_STAYS}"
    return Settlement(
        attempt_id=attempt_id,
        state=AttemptState.UNKNOWN,
        ending=Ending(outcome=Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, detail=detail),
        error=detail,
        tries=failure.tries if failure else 1,
        request_id=failure.request_id if failure else None,
    )
