"""How fast an endpoint may be called: a rate per minute, and a pause when the API asks for one."""

import asyncio
from collections.abc import Mapping

from aiolimiter import AsyncLimiter

RATE_HEADER = "anthropic-ratelimit-requests-limit"


class EndpointLimiter:
    """Requests per minute of one endpoint, spread evenly: the API may enforce a minute's rate by the second.

    Args:
        given: the policy's rate, never exceeded; None follows the account.
        start: the rate to start at when the policy gives none: the published figure of the lowest tier.
    """

    def __init__(self, given: int | None, start: int) -> None:
        self._follows_account = given is None
        self.per_minute = given or start
        self._bucket = _bucket(self.per_minute)
        self._queue = asyncio.Lock()
        self._open = asyncio.Event()
        self._open.set()
        self._paused_until = 0.0

    async def turn(self) -> None:
        """Wait for the next turn. Callers queue here, not at the bucket, so that a new rate holds for all of them."""
        async with self._queue:
            while not self._open.is_set():
                await self._open.wait()
            await self._bucket.acquire()

    def observe(self, headers: Mapping[str, str]) -> None:
        """Take up the account's own rate, where the policy leaves the rate to it."""
        stated = headers.get(RATE_HEADER, "") if self._follows_account else ""
        if stated.isdigit() and int(stated) > 0 and int(stated) != self.per_minute:
            self.per_minute = int(stated)
            self._bucket = _bucket(self.per_minute)

    def pause(self, seconds: float) -> None:
        """Hold every caller back for so long: the API said so to one of them, and means all."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self._open.clear()
            loop.call_at(until, self._resume)

    def _resume(self) -> None:
        if asyncio.get_running_loop().time() >= self._paused_until:
            self._open.set()


def _bucket(per_minute: int) -> AsyncLimiter:
    """A leaky bucket of one second's worth, which no window of a minute takes more than `per_minute` from."""
    per_second = per_minute / 61
    return AsyncLimiter(per_second, 1) if per_second >= 1 else AsyncLimiter(1, 1 / per_second)
