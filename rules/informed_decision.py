"""Informed decision: whether who decided about a review had been shown what became of an attempt at its job."""

from datetime import datetime
from typing import Protocol

from schemas.outcome import AttemptState, Reason

#: what a review says, by the state of the attempt that it is about
SHOWN_REASONS = {AttemptState.UNKNOWN: Reason.UNKNOWN_OUTCOME, AttemptState.SUCCEEDED: Reason.CUT_OFF}


class EarlierAttempt(Protocol):
    """What of an attempt decides whether a review showed it."""

    @property
    def ended_at(self) -> datetime | None: ...

    @property
    def was_cut_off(self) -> bool: ...


def was_informed(
    state: AttemptState, attempt: EarlierAttempt, reason: str | None, decided_at: datetime | None
) -> bool:
    """Whether a decision was made knowing that an attempt may have been billed, or that its answer was cut off.

    Args:
        state: how the attempt stands.
        attempt: the attempt.
        reason: what the review said when it was decided about.
        decided_at: when it was decided about.
    """
    if state is AttemptState.SUCCEEDED and not attempt.was_cut_off:
        return False
    if attempt.ended_at is None or decided_at is None:
        return False
    return reason == SHOWN_REASONS.get(state) and decided_at > attempt.ended_at
