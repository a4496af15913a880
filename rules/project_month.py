"""What a month will have cost at its end, as a range, and when its cap is reached."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, timedelta

from rules.lesson import nearest_rank
from schemas.money import NanoUsd, to_usd
from schemas.month_projection import MonthProjection

#: the range leaves out the cheapest and the dearest tenth of the days
_LOW_PERCENT, _HIGH_PERCENT = 10, 90


def project_month(
    cap: NanoUsd, settled: Mapping[date, int], today: date, fewest_days: int, group: str | None = None
) -> MonthProjection:
    """What a month comes to.

    The expectation is the mean of the days times the days that are left, and not their median: a pipeline that spends
    once a week has a median of nothing. The range takes every day to come for a cheap one, or for a dear one: days of
    one pipeline are alike, and a range that is too wide misleads nobody.

    Args:
        cap: of the month.
        settled: nano-USD by day, of this month; a day without an entry cost nothing.
        today: the day in the policy's time zone, which has not ended: it costs as much as the others, or what it cost so
            far if that is more.
        fewest_days: of fewer whole days nothing is projected.
        group: whose cap it is; None: that of all jobs.
    """
    total = sum(settled.values())
    days = _whole_days(settled, today)
    found = MonthProjection(
        month=f"{today:%Y-%m}",
        group=group,
        cap_usd=to_usd(cap),
        settled_usd=to_usd(total),
        days=len(days),
        fewest_days=fewest_days,
        reached_on=today if total >= cap else None,
    )
    if len(days) < fewest_days:
        return found
    mean = -(-sum(days) // len(days))
    low, high = min(mean, nearest_rank(days, _LOW_PERCENT)), max(mean, nearest_rank(days, _HIGH_PERCENT))
    so_far, left = settled.get(today, 0), monthrange(today.year, today.month)[1] - today.day
    ends = [total + max(0, day - so_far) + day * left for day in (low, mean, high)]
    found.low_usd, found.expected_usd, found.high_usd = map(to_usd, ends)
    if ends[1] >= cap:
        tonight = total + max(0, mean - so_far)
        found.reached_on = today + timedelta(days=-(-max(0, cap - tonight) // mean) if mean else 0)
    return found


def _whole_days(settled: Mapping[date, int], today: date) -> list[int]:
    """What each day cost, from the first one that cost something on to yesterday, the cheapest first."""
    spent_on = [day for day, nano in settled.items() if nano and day < today]
    if not spent_on:
        return []
    first = min(spent_on)
    return sorted(settled.get(first + timedelta(days=n), 0) for n in range((today - first).days))
