"""The limits of the endpoints: how many requests there is room for, and the headers that say so."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from simulator.plan.api_clock import ApiClock

#: stated in the token limit headers and not enforced
TOKENS_PER_MINUTE = 5_000_000


class Bucket:
    """A token bucket of requests, filled evenly and holding at most one second's worth.

    Source: Anthropic docs, "Rate limits" (2026-10-08): a per-minute limit may be enforced per second.

    Args:
        per_minute: requests per minute.
        clock: seconds, monotonic.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._room = max(1.0, self._rate)
        self._left = self._room
        self._clock = clock
        self._at = clock()

    def take(self) -> int | None:
        """Take one request's place.

        Returns:
            None if there was one; otherwise the whole seconds after which there will be.
        """
        now = self._clock()
        self._left = min(self._room, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return None
        return max(1, int(-(-(1 - self._left) // self._rate)))

    @property
    def remaining(self) -> int:
        """Requests that there is room for at once."""
        return int(self._left)


class LimitHeaders:
    """The rate-limit headers; the text of a second is made once.

    Args:
        clock: says when a limit is full again.
    """

    def __init__(self, clock: ApiClock) -> None:
        self._clock = clock
        self._second = 0
        self._reset = ""

    def of(self, bucket: Bucket, *, tokens: bool) -> dict[str, str]:
        """Headers of one answer.

        Args:
            bucket: the endpoint's limit.
            tokens: whether to state token limits too.

        Returns:
            `anthropic-ratelimit-*` headers; the reset is a second ahead (RFC 3339).
        """
        second = int(self._clock.seconds())
        if second != self._second:
            self._second = second
            self._reset = datetime.fromtimestamp(second + 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        figures = {"requests": (bucket.per_minute, bucket.remaining)}
        if tokens:
            full = (TOKENS_PER_MINUTE, TOKENS_PER_MINUTE)
            figures |= {"tokens": full, "input-tokens": full, "output-tokens": full}
        headers: dict[str, str] = {}
        for name, (limit, remaining) in figures.items():
            headers[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            headers[f"anthropic-ratelimit-{name}-remaining"] = str(remaining)
            headers[f"anthropic-ratelimit-{name}-reset"] = self._reset
        return headers
