"""The caps of a hold: the windows of the run, the day, the month and a deadline, for all jobs and for each group."""

from collections.abc import Collection
from datetime import datetime

from schemas.budget import DayCaps, WindowCap, windows_of
from schemas.outcome import Reason, Scope
from schemas.policy import Policy

_REASONS = {
    Scope.RUN: Reason.RUN_BUDGET,
    Scope.DAY: Reason.DAY_BUDGET,
    Scope.MONTH: Reason.MONTH_BUDGET,
    Scope.DEADLINE: Reason.DEADLINE_BUDGET,
}


def budget_day(policy: Policy, now: datetime) -> str:
    """The day that money is counted under at a moment, in the policy's time zone, as ISO 8601."""
    return now.astimezone(policy.zone).date().isoformat()


def day_caps(policy: Policy, run_id: str, now: datetime) -> DayCaps:
    """The day that money is counted under at a moment, with its caps."""

    def of_groups(groups: Collection[str]) -> list[WindowCap]:
        return caps_of(policy, run_id, now, groups)

    return DayCaps(budget_day(policy, now), of_groups)


def caps_of(
    policy: Policy, run_id: str, now: datetime, groups: Collection[str] = (), *, deadline: str | None = None
) -> list[WindowCap]:
    """The caps of the windows that a hold taken now falls under: those of all jobs, then those of each group.

    Args:
        policy: the run's.
        run_id: the run.
        now: the moment, which says the day.
        groups: those that some of the jobs are of.
        deadline: the period of the deadline that the jobs go out for at full price; None: for none.
    """
    return [
        WindowCap(
            window=window,
            nano_usd=policy.cap(window.scope, window.group),
            reason=Reason.GROUP_BUDGET if window.group else _REASONS[window.scope],
            reserve=policy.hold.reserve,
        )
        for window in windows_of(run_id, budget_day(policy, now), *sorted(groups), deadline=deadline)
    ]
