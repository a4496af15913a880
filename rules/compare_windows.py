"""Windows of money compared with the attempts they are the sums of.

Attempts that were pruned are in `history` by the UTC day of their end, not by run or budget day. So what a window has
settled beyond its attempts is compared with `history` in sum: over all days, and over all months, it is exactly what was
pruned; over all runs it is at most that, because an emptied run's window goes with its last attempt, and so it is over
all deadlines, because not every attempt goes out for one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from schemas.budget import Window
from schemas.outcome import Scope

#: their windows are of a part of what was pruned
_IN_PART = (Scope.RUN, Scope.DEADLINE)


class WindowDifference(NamedTuple):
    """A window less the sum of its attempts, in nano-USD."""

    window: Window
    held: int
    settled: int


class WindowFaults(NamedTuple):
    """Windows whose held sum is wrong, and those whose settled sum is."""

    held: list[Window]
    settled: list[Window]


def window_faults(differences: Iterable[WindowDifference], pruned: Mapping[str, int]) -> WindowFaults:
    """The windows that are wrong.

    Args:
        differences: of each window that differs from its attempts.
        pruned: nano-USD of pruned attempts by group; "" are those of all attempts.
    """
    faults = WindowFaults([], [])
    beyond: dict[tuple[Scope, str], list[Window]] = {}
    excess: Counter[tuple[Scope, str]] = Counter()
    for window, held, settled in differences:
        if held:
            faults.held.append(window)
        if settled < 0 or (settled > 0 and not pruned.get(window.group)):
            faults.settled.append(window)
        elif settled:
            beyond.setdefault((window.scope, window.group), []).append(window)
            excess[window.scope, window.group] += settled
    for group, amount in pruned.items():
        for scope in Scope:
            key = (scope, group)
            is_wrong = excess[key] > amount if scope in _IN_PART else excess[key] != amount
            if is_wrong:
                faults.settled.extend(beyond.get(key) or [Window(scope, "all", group)])
    return faults
