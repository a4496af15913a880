"""Which holds fit: the money that is free under each cap while jobs get theirs, one after the other."""

from collections.abc import Mapping, Sequence

from rules.endings import deferred
from schemas.attempt import WeighedJob
from schemas.budget import Window, WindowCap
from schemas.money import usd_text
from schemas.outcome import Ending


class FreeMoney:
    """What is free under some caps, now and before the first hold was taken. Amounts are nano-USD.

    Args:
        caps: those for all jobs first, then those of each group.
        free: what is free in each window that has a cap.
    """

    def __init__(self, caps: Sequence[WindowCap], free: Mapping[Window, int]) -> None:
        self._capped = [cap for cap in caps if cap.window in free]
        self._at_first = dict(free)
        self._now = dict(free)

    def lacking(self, item: WeighedJob) -> WindowCap | None:
        """The first cap that a job's hold does not fit under now; None: it fits."""
        return self._lacking(item, self._now)

    def lacking_at_first(self, item: WeighedJob) -> WindowCap | None:
        """The first cap that a job's hold would not fit under if no hold had been taken; None: it would fit."""
        return self._lacking(item, self._at_first)

    def take(self, item: WeighedJob) -> None:
        """Take a job's hold off what is free in every window that it falls under."""
        for cap in self._capped:
            self._now[cap.window] -= _share(cap, item)

    def within_reach(self, item: WeighedJob) -> WeighedJob:
        """The same job, without its cache marker where only the marker makes it dearer than all that was free."""
        if item.unmarked is not None and self.lacking_at_first(item) is not None:
            return item.unmarked
        return item

    def deferred(self, item: WeighedJob, cap: WindowCap) -> Ending:
        """The ending of a job whose hold did not fit under a cap before the first hold was taken."""
        what = "worst case" if item.estimate.likely is None else "hold of"
        whose = f" of the group {cap.window.group}" if cap.window.group else ""
        share = _share(cap, item)
        of_it = ""
        if share != item.hold:
            of_it = f" (its share of {usd_text(item.hold)} USD, split over {item.payers.jobs:,} jobs)"
        left = max(0, self._at_first[cap.window])
        return deferred(
            cap.reason,
            f"{what} {usd_text(share)} USD{of_it}, {usd_text(left)} USD left of the {cap.window.scope} budget{whose} of "
            f"{usd_text(cap.nano_usd or 0)} USD",
        )

    def _lacking(self, item: WeighedJob, free: Mapping[Window, int]) -> WindowCap | None:
        groups = item.payers.groups
        return next(
            (cap for cap in self._capped if cap.covers(groups) and free[cap.window] < _share(cap, item)), None
        )


def _share(cap: WindowCap, item: WeighedJob) -> int:
    """The part of a job's hold that falls under a cap; 0 where the cap is of a group that pays for none of it."""
    return item.payers.share(cap.window.group, item.hold)
