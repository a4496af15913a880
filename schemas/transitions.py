"""Who may do what to a review: one table, which the ledger's statements, the sentences of refusals and the tests share."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from schemas.outcome import (
    DECIDED_STATUSES,
    FINAL_STATUSES,
    LETS_PASS,
    OPEN_STATUSES,
    WAITING_STATUSES,
    ReviewStatus,
)


class Verb(StrEnum):
    """What is done to a review: the first eight by a person, the others by a run."""

    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"
    CLAIM = "claim"
    #: claim what somebody else has claimed
    TAKE_OVER = "take_over"
    #: give back what one has claimed
    RELEASE = "release"
    #: take a decision back
    REOPEN = "reopen"
    #: what came and could not be read is the answer of its job
    ACCEPT = "accept"
    #: put into the table, or back among those that wait
    PARK = "park"
    #: its job was answered
    CLOSE = "close"
    #: the time of its approval has passed
    EXPIRE = "expire"


class Who(StrEnum):
    """Whom a transition is open to."""

    ANYBODY = "anybody"
    #: only who has claimed the review
    CLAIMER = "claimer"
    #: only who decided about it
    DECIDER = "decider"
    #: nobody: a run does it
    A_RUN = "a_run"


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a verb takes a review.

    Attributes:
        to: the status it has afterwards.
        open_to: by the status it has before, who may; a status that is missing allows nobody.
    """

    to: ReviewStatus
    open_to: Mapping[ReviewStatus, Who]

    def statuses(self, who: Who) -> list[ReviewStatus]:
        """The statuses from which these may."""
        return [status for status, allowed in self.open_to.items() if allowed == who]


_WAITING = {ReviewStatus.PENDING: Who.ANYBODY}
_UNDECIDED = _WAITING | {ReviewStatus.EXPIRED: Who.ANYBODY, ReviewStatus.CLAIMED: Who.CLAIMER}
_OWN = dict.fromkeys(LETS_PASS, Who.DECIDER)

#: who may do what to a review; the database's own rules (migration 0006) are the same
TRANSITIONS: Mapping[Verb, Transition] = {
    Verb.APPROVE: Transition(ReviewStatus.APPROVED, _UNDECIDED | _OWN),
    Verb.REJECT: Transition(ReviewStatus.REJECTED, _UNDECIDED | _OWN),
    Verb.EDIT: Transition(ReviewStatus.EDITED, _UNDECIDED),
    Verb.CLAIM: Transition(ReviewStatus.CLAIMED, _WAITING | {ReviewStatus.CLAIMED: Who.CLAIMER}),
    Verb.TAKE_OVER: Transition(ReviewStatus.CLAIMED, _WAITING | {ReviewStatus.CLAIMED: Who.ANYBODY}),
    Verb.RELEASE: Transition(ReviewStatus.PENDING, {ReviewStatus.CLAIMED: Who.CLAIMER}),
    Verb.REOPEN: Transition(
        ReviewStatus.PENDING, dict.fromkeys((*DECIDED_STATUSES, ReviewStatus.EXPIRED), Who.ANYBODY)
    ),
    # the database closes no review whose approval has expired, or that was rejected: they are reopened first
    Verb.ACCEPT: Transition(ReviewStatus.SENT, _WAITING | {ReviewStatus.CLAIMED: Who.CLAIMER} | _OWN),
    Verb.PARK: Transition(
        ReviewStatus.PENDING,
        dict.fromkeys((ReviewStatus.PENDING, *DECIDED_STATUSES, *FINAL_STATUSES), Who.A_RUN),
    ),
    Verb.CLOSE: Transition(ReviewStatus.SENT, dict.fromkeys(OPEN_STATUSES, Who.A_RUN)),
    Verb.EXPIRE: Transition(ReviewStatus.EXPIRED, dict.fromkeys(LETS_PASS, Who.A_RUN)),
}


class Standing(Protocol):
    """What of a review decides who may do what to it."""

    @property
    def status(self) -> str: ...

    @property
    def claimed_by(self) -> str | None: ...

    @property
    def decided_by(self) -> str | None: ...


def why_not(verb: Verb, review: Standing, name: str) -> str | None:
    """Why this person may not do this to a review, or None when they may."""
    match TRANSITIONS[verb].open_to.get(ReviewStatus(review.status)):
        case Who.ANYBODY:
            return None
        case Who.CLAIMER:
            mine = review.claimed_by == name
            return None if mine else f"it is claimed by {review.claimed_by}; take it over first"
        case Who.DECIDER if review.decided_by == name:
            return None
        case _:
            return _standing_as_it_is(verb, review)


def _standing_as_it_is(verb: Verb, review: Standing) -> str:
    if review.status == ReviewStatus.SENT:
        return "it was sent"
    if review.status in WAITING_STATUSES:
        return "nobody has claimed it" if verb == Verb.RELEASE else "nobody has decided about it yet"
    if review.status == ReviewStatus.EXPIRED:
        return "its approval has expired; reopen it first"
    return f"it is {review.status} already, by {review.decided_by}; reopen it first"
