"""The small vocabularies: what is decided about a job, how a try at it stands, and what it ended as."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """How paid calls are made."""

    MESSAGES = "messages"
    BATCHES = "batches"


class Scope(StrEnum):
    """How long a window of money lasts."""

    RUN = "run"
    DAY = "day"
    MONTH = "month"
    #: what goes out at full price because the answers of runs are due at one moment
    DEADLINE = "deadline"


class BatchState(StrEnum):
    """How one provider batch of ours stands."""

    #: on record, and perhaps with the provider: its id is not known yet
    PREPARED = "prepared"
    #: with the provider, under a known id
    SUBMITTED = "submitted"
    #: every item is settled
    ENDED = "ended"
    #: shown never to have been made; its holds were returned
    ABSENT = "absent"


class Method(StrEnum):
    """How a token figure was got. Every figure carries one."""

    #: the provider's count_tokens under the model that will be called
    COUNTED = "counted"
    #: a safe upper bound of ours, said as such
    BOUNDED = "bounded"
    #: the provider refuses to count such a payload and no bound is known
    UNCOUNTABLE = "uncountable"


class Runner(StrEnum):
    """Where the counts and paid calls of a run are made."""

    #: in the process of the run
    LOCAL = "local"
    #: in worker processes on its machine
    PROCESSES = "processes"
    #: by the workers of a Dask cluster
    DASK = "dask"


class Decision(StrEnum):
    """What the pipeline decides about a job before any money moves."""

    SEND = "send"
    REVIEW = "review"
    DEFER = "defer"
    REJECT = "reject"


class AttemptState(StrEnum):
    """How one paid try at a job stands. Its hold is released only by leaving OPEN for a known end."""

    #: money is held; `sent_at` says whether bytes may have left
    OPEN = "open"
    SUCCEEDED = "succeeded"
    #: no answer: surely not billed and the hold returned, or billed as a person booked it
    FAILED = "failed"
    #: may have been billed; the hold stays
    UNKNOWN = "unknown"


#: its hold stays: what it costs is not known yet
UNSETTLED_STATES = (AttemptState.OPEN, AttemptState.UNKNOWN)
#: in flight or answered: its job is not sent again
LIVE_STATES = (AttemptState.OPEN, AttemptState.SUCCEEDED)


class Billing(StrEnum):
    """What the usage of an answer says about its bill."""

    #: all of it
    FULL = "full"
    #: something is billed that the usage does not show, or it is missing: what is settled or held is a bound
    PARTIAL = "partial"
    #: answered, and by the provider's rules not billed
    NOT_BILLED = "not_billed"


class Outcome(StrEnum):
    """What an input row ended as. Each row has exactly one."""

    SUCCEEDED = "succeeded"
    REVIEW = "review"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    FAILED = "failed"
    UNKNOWN = "unknown"


class RunOutcome(StrEnum):
    """What a run ended as, and so its exit code."""

    #: every row succeeded or waits for a person
    COMPLETE = "complete"
    #: money ran out: the rest is deferred to the next run
    BUDGET_STOP = "budget_stop"
    #: some rows were rejected, failed, are unknown, or are in flight in another run
    INCOMPLETE = "incomplete"
    #: the run itself ended early
    FAILED = "failed"


EXIT_CODES = {
    RunOutcome.COMPLETE: 0,
    RunOutcome.FAILED: 1,
    RunOutcome.BUDGET_STOP: 3,
    RunOutcome.INCOMPLETE: 4,
}
#: bad arguments, policy or input file
EXIT_BAD_INPUT = 2


class Reason(StrEnum):
    """Why a job was parked, deferred, rejected or failed. The text next to it has the figures."""

    OVER_INPUT_LIMIT = "over_input_limit"
    OVER_COST_LIMIT = "over_cost_limit"
    NO_ROUTE = "no_route"
    UNCOUNTABLE = "uncountable"
    IMPOSSIBLE_COUNT = "impossible_count"
    UNPRICED = "unpriced"
    UNKNOWN_OUTCOME = "unknown_outcome"
    OVER_CEILING = "over_ceiling"
    CUT_OFF = "cut_off"
    REJECTED_BY_REVIEWER = "rejected_by_reviewer"
    RUN_BUDGET = "run_budget"
    DAY_BUDGET = "day_budget"
    MONTH_BUDGET = "month_budget"
    GROUP_BUDGET = "group_budget"
    DEADLINE_BUDGET = "deadline_budget"
    PROVIDER_SPEND_LIMIT = "provider_spend_limit"
    BILLS_OVER_HOLDS = "bills_over_holds"
    ACCESS_DENIED = "access_denied"
    ENDPOINT_UNUSABLE = "endpoint_unusable"
    IN_FLIGHT_ELSEWHERE = "in_flight_elsewhere"
    DECIDED_MEANWHILE = "decided_meanwhile"
    INVALID_ROW = "invalid_row"
    REFUSED_BY_API = "refused_by_api"
    API_UNAVAILABLE = "api_unavailable"
    INTERRUPTED = "interrupted"
    TAKEN_OVER = "taken_over"
    BATCH_EXPIRED = "batch_expired"
    BATCH_CANCELED = "batch_canceled"


#: deferral for want of money, which ends a run as BUDGET_STOP
MONEY_REASONS = frozenset(
    {
        Reason.RUN_BUDGET,
        Reason.DAY_BUDGET,
        Reason.MONTH_BUDGET,
        Reason.GROUP_BUDGET,
        Reason.DEADLINE_BUDGET,
        Reason.PROVIDER_SPEND_LIMIT,
        Reason.BILLS_OVER_HOLDS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What a job ends as, and why.

    Attributes:
        decision: what was decided about it; None keeps the decision that is on record.
        detail: the figures of the reason, as a sentence without payload text.
    """

    outcome: Outcome
    decision: Decision | None = None
    reason: Reason | None = None
    detail: str | None = None


class ReviewStatus(StrEnum):
    """How the review of a parked job stands."""

    #: waits; anybody may decide about it
    PENDING = "pending"
    #: set aside for the person named in `claimed_by`: nobody else decides
    CLAIMED = "claimed"
    #: may be sent as it is, up to its ceilings and until it expires
    APPROVED = "approved"
    #: is not sent, however high the limits
    REJECTED = "rejected"
    #: what a person made of its payload is sent in its place, as if approved
    EDITED = "edited"
    #: its job was answered
    SENT = "sent"
    #: the time of its approval passed before it was sent
    EXPIRED = "expired"


#: its job may be sent
LETS_PASS = (ReviewStatus.APPROVED, ReviewStatus.EDITED)
#: decided by a person, who is named
DECIDED_STATUSES = (ReviewStatus.APPROVED, ReviewStatus.REJECTED, ReviewStatus.EDITED)
#: waits for a person's decision
WAITING_STATUSES = (ReviewStatus.PENDING, ReviewStatus.CLAIMED)
#: closed when its job is answered
OPEN_STATUSES = (*WAITING_STATUSES, *LETS_PASS)
#: nothing comes of it any more, unless its job is parked again
FINAL_STATUSES = (ReviewStatus.SENT, ReviewStatus.EXPIRED)
