"""The deadline of a run: which moment it is, and from when on the morning is at risk."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from schemas.outcome import Mode
from schemas.policy import Policy
from schemas.run import Deadline

_SECOND = timedelta(seconds=1)
#: the days that the next moment may be on, counted from the local date of the start
_DAYS = range(-1, 4)


def next_moment(start: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The first moment after a start at which the clocks of a zone show a time of day, in UTC, to the second.

    Where clocks are set forward over that time, it is the moment of the change; where they show it twice, each of the
    two counts.

    Args:
        start: with a time zone.
        at: the time of day, in whole seconds.
        zone: whose clocks.
    """
    today = start.astimezone(zone).date()
    moments = [
        moment for days in _DAYS for moment in _moments(datetime.combine(today + timedelta(days), at), zone)
    ]
    return min(moment for moment in moments if moment > start)


def _moments(shown: datetime, zone: ZoneInfo) -> list[datetime]:
    """The moments at which the clocks of a zone show a date and time, or pass over it, in UTC."""
    first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return [first, second]
    # skipped: by the offset after the change it would lie before it, by the one before the change after it
    low, high = second, first
    while high - low > _SECOND:
        middle = low + (high - low) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).replace(tzinfo=None) < shown:
            low = middle
        else:
            high = middle
    return [high]


def deadline_of(policy: Policy, start: datetime) -> Deadline | None:
    """When the answers of a run are due; None: its policy names no time, or sends everything at once anyhow.

    Args:
        policy: of the run.
        start: when the run began.
    """
    limits = policy.batch
    if limits.deadline is None or policy.mode is not Mode.BATCHES:
        return None
    return deadline_at(policy, next_moment(start, limits.deadline, policy.zone))


def deadline_at(policy: Policy, due: datetime) -> Deadline:
    """The deadline of a run whose answers are due at a moment."""
    return Deadline(due, due - timedelta(minutes=policy.batch.deadline_lead_minutes))


def is_at_risk(deadline: Deadline | None, now: datetime) -> bool:
    """Whether the answers of a run may come too late if nothing is done; never where there is no deadline."""
    return deadline is not None and now >= deadline.at_risk_from


def at_risk_line(deadline: Deadline, policy: Policy) -> str:
    """What happens now that the answers of a run are at risk, in a sentence."""
    due = deadline.due.astimezone(policy.zone)
    return (
        f"The answers are due at {due:%Y-%m-%d %H:%M} ({policy.time_zone}). Batches that have not ended are stopped; what "
        "they leave, and what is still queued, goes out in Messages mode at full price, within "
        f"{policy.batch.deadline_budget_usd} USD."
    )


def seconds_until_risk(deadline: Deadline | None, now: datetime) -> float | None:
    """How long the answers of a run may still be waited for, in seconds, at least 0; None: for ever."""
    if deadline is None:
        return None
    return max(0.0, (deadline.at_risk_from - now).total_seconds())
