"""Whether what was counted under a day left on it, by the clocks of a time zone."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

#: between the moment that says the day and the one that goes on record, and between the clocks of machines
_SLACK = timedelta(hours=1)


class CountedDay(NamedTuple):
    """A day that attempts are counted under, and when the first and the last of them left."""

    day: str
    first: datetime
    last: datetime


def misplaced_days(counted: Iterable[CountedDay], zone: ZoneInfo) -> list[str]:
    """The days that have an attempt which left on another day by the clocks of the zone."""
    return [one.day for one in counted if not _is_of_day(one, zone)]


def _is_of_day(counted: CountedDay, zone: ZoneInfo) -> bool:
    day = date.fromisoformat(counted.day)
    start, end = (datetime.combine(day + timedelta(days=more), time(), zone) for more in (0, 1))
    # moments are compared, not the hands of clocks that may have been put forward in between
    return (
        start.timestamp() <= (counted.first + _SLACK).timestamp()
        and (counted.last - _SLACK).timestamp() < end.timestamp()
    )
