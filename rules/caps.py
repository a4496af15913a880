"""The caps of a hold: today's windows of the run, the day and the month, for all jobs and for each group."""

from collections.abc import Collection
from datetime import datetime

from schemas.budget import WindowCap, windows_of
from schemas.outcome import Reason, Scope
from schemas.policy import Policy

_REASONS = {
    Scope.RUN: Reason.RUN_BUDGET,
    Scope.DAY: Reason.DAY_BUDGET,
    Scope.MONTH: Reason.MONTH_BUDGET,
}


def budget_day(policy: Policy, now: datetime) -> str:
    """The day that money is counted under at a moment, in the policy's time zone, as ISO 8601."""
    return now.astimezone(policy.zone).date().isoformat()


def caps_of(policy: Policy, run_id: str, now: datetime, groups: Collection[str] = ()) -> list[WindowCap]:
    """The caps of the windows that a hold taken now falls under: those of all jobs, then those of each group."""
    return [
        WindowCap(
            window=window,
            nano_usd=policy.cap(window.scope, window.group),
            reason=Reason.GROUP_BUDGET if window.group else _REASONS[window.scope],
            reserve=policy.hold.reserve,
        )
        for window in windows_of(run_id, budget_day(policy, now), *sorted(groups))
    ]
