"""Turns as a process holds them, and the database's clock, by which they are dated, as seen from the event loop."""

from dataclasses import dataclass

from rules.lease_block import PACED_MINUTE, SECOND, turn_moment

#: how far two clocks may drift apart, as a share of the time
_DRIFT = 1e-4
#: SQLite's clock shows whole milliseconds
_CLOCK_STEP = 1_000


class DatabaseClock:
    """What the database's clock shows, by the clock of the event loop, within the time that asking it took."""

    def __init__(self) -> None:
        self._low = self._high = 0.0
        self._at: float | None = None

    def saw(self, before: float, shown: int, after: float) -> None:
        """Take note of what it showed at some time between two moments of the loop, seconds."""
        low, high = shown - after * SECOND, shown + _CLOCK_STEP - before * SECOND
        if self._at is not None:
            drift = (after - self._at) * SECOND * _DRIFT
            best_low, best_high = max(low, self._low - drift), min(high, self._high + drift)
            if best_low <= best_high:  # otherwise it was set
                low, high = best_low, best_high
        self._low, self._high, self._at = low, high, after

    def latest(self, moment: float) -> int:
        """The most it can show at a moment of the loop, microseconds."""
        return int(moment * SECOND + self._high) + 1

    def reached(self, shown: int) -> float:
        """When it surely shows this much, seconds of the loop's clock."""
        return (shown - self._low) / SECOND


@dataclass(slots=True)
class TurnTrain:
    """Turns one after the other, the first `used` of which are used or over."""

    start: int
    turns: int
    per_minute: int
    used: int = 0

    def moment(self, number: int) -> int:
        return turn_moment(self.start, number, self.per_minute)

    def skip_before(self, moment: int) -> None:
        """Drop the turns before a moment."""
        over = -(-(moment - self.start) * self.per_minute // PACED_MINUTE)
        self.used = min(self.turns, max(self.used, over))

    def cut_after(self, moment: int) -> None:
        """Give up the turns after a moment that are not used."""
        self.turns = max(self.used, min(self.turns, (moment - self.start) * self.per_minute // PACED_MINUTE))
