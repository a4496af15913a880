"""How long an answer asks to wait before the next try."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isnan


def retry_seconds(stated: str | None, answered_at: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, which is a number or a date (source: RFC 9110, 10.2.3); None: it says none.

    Args:
        stated: the header.
        answered_at: the Date header of the same answer: the two are of one clock, which need not be this machine's.
        now: the moment, where the answer has no date.
    """
    if not stated:
        return None
    try:
        seconds = float(stated)
    except ValueError:
        until = _moment(stated)
        if until is None:
            return None
        seconds = (until - (_moment(answered_at or "") or now)).total_seconds()
    return None if isnan(seconds) else max(0.0, seconds)


def _moment(date: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return None if moment.tzinfo is None else moment
