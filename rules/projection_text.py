"""The projection of a month as people read it."""

from schemas.money import usd_rounded
from schemas.month_projection import MonthProjection


def projection_line(found: MonthProjection) -> str:
    """What a month comes to, as one sentence."""
    whose = f" of the group {found.group}" if found.group else ""
    spent = (
        f"Month {found.month}: {usd_rounded(found.settled_usd)} of the budget{whose} of "
        f"{usd_rounded(found.cap_usd)} are settled"
    )
    if found.low_usd is None or found.expected_usd is None or found.high_usd is None:
        reached = " The budget is reached." if found.reached_on else ""
        return (
            f"{spent}. Nothing is projected from fewer than {found.fewest_days} whole days with spending, and there "
            f"are {found.days}.{reached}"
        )
    ends = (
        f"{spent}, and about {usd_rounded(found.expected_usd)} are projected for its end "
        f"({usd_rounded(found.low_usd)} to {usd_rounded(found.high_usd)}, from {found.days} days)"
    )
    return f"{ends}; {_when(found)}."


def _when(found: MonthProjection) -> str:
    if found.reached_on is not None:
        return f"the budget is reached about {found.reached_on}"
    if found.high_usd is not None and found.high_usd >= found.cap_usd:
        return "the budget suffices at this rate, and not if the days to come are expensive ones"
    return "the budget suffices"
