"""The windows of money that a hold falls under, and what may be held in each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from schemas.money import NanoUsd
from schemas.outcome import Reason, Scope

#: a section of the policy's `groups` that holds for every group without one of its own
ANY_GROUP = "*"


class Window(NamedTuple):
    """One row of `budgets`: a scope, its period (the run id, the date, the month, the moment of a deadline), and a group or "" for all jobs."""

    scope: Scope
    period: str
    group: str = ""


class CapSource(StrEnum):
    """Where the cap of a run came from."""

    POLICY = "policy"
    #: of the command
    OPTION = "option"
    #: of a deployment, or a field of its form
    PARAMETER = "parameter"
    #: another process began the run, and the ledger has its policy as it was in force
    UNKNOWN = "unknown"


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

    def covers(self, groups: Collection[str]) -> bool:
        """Whether it caps money of these groups; it does if it caps all jobs."""
        return not self.window.group or self.window.group in groups


@dataclass(frozen=True, slots=True)
class DayCaps:
    """The budget day that it is, and the caps of its windows.

    Attributes:
        day: as ISO 8601, in the policy's time zone.
        of_groups: the caps of that day for all jobs and for some groups of them.
    """

    day: str
    of_groups: Callable[[Collection[str]], Sequence[WindowCap]]


@dataclass(frozen=True, slots=True)
class Payers:
    """Whose groups pay for an attempt: that of the job that is sent, or those of all jobs that share its answer.

    Attributes:
        first: the group of the job that is sent; "": none.
        groups: how many of the jobs are of each group; "" are those of none.
    """

    first: str
    groups: Mapping[str, int]

    @classmethod
    def alone(cls, group: str | None) -> "Payers":
        """The payers of an attempt that nobody else pays for."""
        return cls(group or "", {group or "": 1})

    @property
    def jobs(self) -> int:
        """Over how many jobs the cost is split."""
        return sum(self.groups.values())

    def named(self) -> list[str]:
        """The groups that have windows of their own."""
        return sorted(filter(None, self.groups))

    def share(self, group: str, amount: int) -> int:
        """What of an amount falls on a group, in nano-USD; on "", all of it.

        Each job bears the same, and the one that is sent what is left over; so the shares of all jobs sum to the amount.
        """
        if not group:
            return amount
        each, rest = divmod(amount, self.jobs)
        return self.groups.get(group, 0) * each + (rest if group == self.first else 0)

    def whole(self, hold: NanoUsd) -> NanoUsd:
        """A hold as it is taken: at most some nano-USD more, so that no share of a bill within it is above its share.

        The rest of a division is largest just below the next multiple, and the job that is sent bears it.
        """
        jobs = self.jobs
        return NanoUsd(hold + (jobs - 1 - hold) % jobs)

    def in_windows(
        self, run_id: str, budget_day: str, amount: int, deadline: str | None = None
    ) -> dict[Window, int]:
        """What of an amount falls under each window, in nano-USD; that of a deadline is of all jobs alone."""
        windows = windows_of(run_id, budget_day, *self.named(), deadline=deadline)
        return {window: self.share(window.group, amount) for window in windows}


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
