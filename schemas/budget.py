"""The windows of money that a hold falls under, and what may be held in each."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from schemas.money import NanoUsd
from schemas.outcome import Reason, Scope


class Window(NamedTuple):
    """One row of `budgets`: a scope, its period (the run id, the date, the month, the moment of a deadline), and a group or "" for all jobs."""

    scope: Scope
    period: str
    group: str = ""


@dataclass(frozen=True, slots=True)
class WindowCap:
    """The most that may be held and settled in a window.

    Attributes:
        nano_usd: None: no cap, only kept count of.
        reserve: nano-USD of it that no hold may touch.
    """

    window: Window
    nano_usd: NanoUsd | None
    reason: Reason
    reserve: NanoUsd = NanoUsd(0)  # noqa: RUF009 - an int

    def covers(self, group: str | None) -> bool:
        """Whether it caps the jobs of a group."""
        return self.window.group in ("", group)


@dataclass(frozen=True, slots=True)
class DayCaps:
    """The budget day that it is, and the caps of its windows.

    Attributes:
        day: as ISO 8601, in the policy's time zone.
        of_groups: the caps of that day for all jobs and for some groups of them.
    """

    day: str
    of_groups: Callable[[Collection[str]], Sequence[WindowCap]]


def windows_of(
    run_id: str, budget_day: str, *groups: str | None, deadline: str | None = None
) -> list[Window]:
    """The windows that money falls under: the run's, the day's and the month's, of all jobs, then of each group.

    What goes out at full price for a deadline falls under the deadline's window too, which is of all jobs alone.
    """
    periods = ((Scope.RUN, run_id), (Scope.DAY, budget_day), (Scope.MONTH, budget_day[:7]))
    windows = [
        Window(scope, period, name) for name in ("", *filter(None, groups)) for scope, period in periods
    ]
    return windows if deadline is None else [*windows, Window(Scope.DEADLINE, deadline)]
