"""Quoted caps: which jobs a run would defer under today's caps, and how high each cap would have to be.

A run defers a job only when it would not fit with nothing in flight: what was settled before it, and its own hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.budget import Window, WindowCap


@dataclass(frozen=True, slots=True)
class MoneyNeed:
    """What one job takes of a window: held before it is sent, and expected to be settled. Nano-USD.

    Attributes:
        jobs: for how many it stands, as one of a sample; their money is taken together.
    """

    row_number: int
    priority: int
    group: str | None
    hold: int
    expected: int
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class QuotedCap:
    """A cap under which jobs would be deferred. Nano-USD.

    Attributes:
        used: settled and held in the window before the run, and the policy's reserve.
        jobs: that it would defer.
        needed: the cap that would let all of them through.
    """

    window: Window
    cap: int
    used: int
    jobs: int
    needed: int


def deferred_by_caps(
    needs: Sequence[MoneyNeed], caps: Sequence[WindowCap], used: dict[Window, int]
) -> tuple[set[int], list[QuotedCap]]:
    """The rows that would be deferred, and the caps that would do it.

    Args:
        needs: of every job that would be sent.
        caps: that the run would be under; those without a figure cap nothing.
        used: nano-USD settled and held of each window, before the run.
    """
    capped = [(cap, cap.nano_usd) for cap in caps if cap.nano_usd is not None]
    taken = {cap.window: used.get(cap.window, 0) + cap.reserve for cap, _ in capped}
    wanted = dict(taken)
    jobs = dict.fromkeys(taken, 0)
    needed = dict.fromkeys(taken, 0)
    rows: set[int] = set()
    for need in sorted(needs, key=lambda one: (-one.priority, one.row_number)):
        over = None
        covering = [(cap, most) for cap, most in capped if cap.covers((need.group or "",))]
        for cap, most in covering:
            needed[cap.window] = max(needed[cap.window], wanted[cap.window] + need.hold)
            wanted[cap.window] += need.expected
            if over is None and taken[cap.window] + need.hold > most:
                over = cap.window
        if over is not None:
            rows.add(need.row_number)
            jobs[over] += need.jobs
            continue
        for cap, _ in covering:
            taken[cap.window] += need.expected
    found = [
        QuotedCap(
            window=cap.window,
            cap=most,
            used=used.get(cap.window, 0) + cap.reserve,
            jobs=jobs[cap.window],
            needed=needed[cap.window],
        )
        for cap, most in capped
        if jobs[cap.window]
    ]
    return rows, found
