"""The windows of money that a hold falls under, and what may be held in each."""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.money import NanoUsd
from schemas.outcome import Reason, Scope


class Window(NamedTuple):
    """One row of `budgets`: a scope, its period (the run id, the date, the month), and a group or "" for all jobs."""

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


def windows_of(run_id: str, budget_day: str, *groups: str | None) -> list[Window]:
    """The windows that money falls under: the run's, the day's and the month's, of all jobs, then of each group."""
    periods = ((Scope.RUN, run_id), (Scope.DAY, budget_day), (Scope.MONTH, budget_day[:7]))
    return [Window(scope, period, name) for name in ("", *filter(None, groups)) for scope, period in periods]
