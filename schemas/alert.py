"""Alerts: what is watched on a Prefect server, and how an operator hears of it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AlertEventName(StrEnum):
    """The names of the events that a run sends at its end, in Prefect."""

    #: bills were above the worst case that was held for them
    OVER_HOLD = "weighbridge.over-hold"
    #: bills left the lines of the earlier ones
    DRIFT = "weighbridge.drift"
    #: reviews wait for longer than the policy's `alerts.review_days`
    OLD_REVIEWS = "weighbridge.old-reviews"
    #: a cap of the month will be reached before it ends, or is
    CAP_PROJECTED = "weighbridge.cap-projected"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """What somebody has to hear of.

    Attributes:
        sentence: what happened and what to do; never text of a payload.
    """

    name: AlertEventName
    sentence: str


@dataclass(frozen=True, slots=True)
class WaitingReviews:
    """Reviews that wait for longer than this many days.

    Attributes:
        oldest: since when the oldest waits; None: there are none.
    """

    days: int
    reviews: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertSpec:
    """One automation: which events it listens to, and what it sends.

    Attributes:
        name: what it is called in the Prefect UI; it is found by it again.
        watches: one sentence.
        events: the names of the events that it waits for; where `absent`, those that it misses.
        of: the name of the flow or deployment whose runs it is about, and which of the two; empty: events of any.
        after: the events that the wait begins with, for each flow run by itself; only where `absent`.
        absent: it fires when none of the events came.
        within_seconds: how long it waits; where not `absent`, how long it is silent after it fired.
        subject, body: templates of Prefect's, over the event and its flow run.
    """

    name: str
    watches: str
    events: tuple[str, ...]
    of: tuple[str, ...] = ()
    of_role: str = "flow"
    after: tuple[str, ...] = ()
    absent: bool = False
    within_seconds: int = 0
    subject: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class AlertChannels:
    """Where alerts go, as a person names it. Addresses of hooks are secret: whoever has one can write there.

    Attributes:
        webhook, slack: addresses to post to.
        email: who gets a message by SendGrid.
        email_from: its sender.
        sendgrid_key: the key of the SendGrid account.
        blocks: notification blocks that are on the server already, as type/name.
    """

    webhook: str | None = field(default=None, repr=False)
    slack: str | None = field(default=None, repr=False)
    email: tuple[str, ...] = ()
    email_from: str | None = None
    sendgrid_key: str | None = field(default=None, repr=False)
    blocks: tuple[str, ...] = ()


@dataclass(slots=True)
class AppliedAlerts:
    """What was done to the alerts of a server.

    Attributes:
        made, reset: names of alerts.
        kept: how many are as they should be.
        differences: what an operator changed and was left, a sentence each.
    """

    made: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)
    kept: int = 0
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AlertOnServer:
    """An alert as a server has it.

    Attributes:
        on: None: it is not there.
        sends_to: the notification blocks that it uses, as type/name.
    """

    name: str
    watches: str
    on: bool | None
    sends_to: tuple[str, ...] = ()
