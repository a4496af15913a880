"""How fast an endpoint may be called: requests and tokens a minute, and a pause when the API asks for one.

The account's limits are per model, so the Messages endpoint has a limiter for each (source: Anthropic rate limits page,
2026-10-08). The API fills its limits evenly, so that "remaining" says all that its header "reset" does.
"""

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rules.lease_block import ROUNDED_TO
from schemas.policy_sections import RateLimits

#: of the Start tier, by how a model's name begins (source: Anthropic rate limits page, 2026-10-08)
START_MESSAGES_PER_MINUTE = 1_000
START_TOKENS_PER_MINUTE = (2_000_000, 400_000)
START_FABLE_TOKENS_PER_MINUTE = (500_000, 100_000)
_HEADER = "anthropic-ratelimit-{}-{}"
_REQUESTS = "requests"
RATE_HEADER = _HEADER.format(_REQUESTS, "limit")
_MINUTE = 60.0
_BURST_SECONDS = 0.25
#: the longest sleep before another look, seconds: a new rate and a corrected weight count within it
_LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class CallWeight:
    """What a call takes of the tokens a minute.

    Attributes:
        input_tokens: its input as counted; what the cache holds of it is not known before.
        output_tokens: the output it is expected to bring.
    """

    input_tokens: int = 0
    output_tokens: int = 0


NO_WEIGHT = CallWeight()


@dataclass(slots=True)
class _Taken:
    """Tokens that were taken; from `until` on, seconds of the event loop's clock, they no longer count."""

    until: float
    tokens: int


class RequestPace:
    """Requests a minute, spread evenly, since the API may enforce a minute's rate by the second.

    A leaky bucket of a quarter of a second's worth, which no window of a minute takes more than the rate from: a whole
    second's would leave no room for requests that are delayed on their way and arrive together. A new rate changes how
    fast it leaks, and leaves what is in it.

    Args:
        given: the policy's rate, never exceeded, nor is the account's where that is lower; None follows the account.
        start: the rate to start at when the policy gives none, and not to exceed until an answer has come: the published
            figure of the lowest tier.
    """

    def __init__(self, given: int | None, start: int) -> None:
        self._given = given
        self._start = start
        self._heard = False
        #: as far as is known now
        self.per_minute = given or start
        self._level = 0.0
        self._at = 0.0

    @property
    def careful_per_minute(self) -> int:
        """The rate to keep now: the account's may be far below the policy's, until an answer has stated it."""
        return self.per_minute if self._heard else min(self.per_minute, self._start)

    def wait(self, now: float) -> float:
        """Seconds until there is room for one more."""
        per_second = self.careful_per_minute / 61
        self._leak(now)
        return max(0.0, (self._level + 1 - max(1.0, per_second * _BURST_SECONDS) - 1e-9) / per_second)

    def take(self, now: float) -> None:
        self._leak(now)
        self._level += 1

    def heed(self, stated: int | None, now: float) -> None:
        """Take up the account's own rate; None: its answers state none."""
        self._leak(now)
        self._heard = True
        known = [rate for rate in (self._given, stated) if rate]
        if known:
            self.per_minute = min(known)

    def _leak(self, now: float) -> None:
        self._level = max(0.0, self._level - (now - self._at) * self.careful_per_minute / 61)
        self._at = now


class TokenWindow:
    """Tokens a minute: what was taken within the last minute is at most the rate.

    Args:
        name: as the API's headers have it, "input-tokens" or "output-tokens".
        given: the policy's rate, never exceeded, nor is the account's where that is lower; None follows the account.
        start: the rate to start at when the policy gives none.
    """

    def __init__(self, name: str, given: int | None, start: int) -> None:
        self.name = name
        self.given = given
        #: None: there is no such limit
        self.per_minute: int | None = given or start
        self._taken: deque[_Taken] = deque()
        self._sum = 0

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until there is room for this many. What is more than a whole minute's goes alone."""
        self._forget(now)
        if self.per_minute is None or not tokens:
            return 0.0
        over, until = self._sum + tokens - self.per_minute, now
        for taken in self._taken:
            if over <= 0:
                break
            over, until = over - taken.tokens, taken.until
        return until - now

    def take(self, tokens: int, now: float) -> _Taken:
        taken = _Taken(now + _MINUTE, tokens)
        self._taken.append(taken)
        self._sum += tokens
        return taken

    def correct(self, taken: _Taken, tokens: int, now: float) -> None:
        """Count this many in place of those that were taken, for as long as they count at all."""
        self._forget(now)
        if taken.until > now:
            self._sum += tokens - taken.tokens
            taken.tokens = tokens

    def heed(self, stated: int | None) -> None:
        """Take up the account's rate; None: there is no such limit."""
        known = [rate for rate in (self.given, stated) if rate is not None]
        self.per_minute = min(known, default=None)

    def used_by_all(self, headers: Mapping[str, str]) -> int | None:
        """Tokens that everybody has used, where the account's rate binds and an answer's headers say it."""
        limit = _figure(headers, self.name, "limit")
        remaining = _figure(headers, self.name, "remaining")
        if not limit or remaining is None or limit != self.per_minute:
            return None
        return limit - remaining

    def count_others(self, used_by_all: int | None, now: float) -> None:
        """Count what others than this process have used of the account's rate."""
        self._forget(now)
        if used_by_all is not None and used_by_all - self._sum > ROUNDED_TO:
            self.take(used_by_all - self._sum, now)

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0].until <= now:
            self._sum -= self._taken.popleft().tokens


@dataclass(frozen=True, slots=True)
class QueuedCall:
    """A call's turn, whose weight can be corrected once its real one is known."""

    taken: tuple[tuple[TokenWindow, _Taken], ...] = ()

    def weighed(self, weight: CallWeight) -> None:
        """Count this weight in place of the one that was expected."""
        now = asyncio.get_running_loop().time()
        tokens = (weight.input_tokens, weight.output_tokens)
        for (window, taken), number in zip(self.taken, tokens, strict=False):
            window.correct(taken, number, now)


class TurnSource(Protocol):
    """Where turns come from that several processes share."""

    async def turn(self, weight: CallWeight) -> QueuedCall:
        """Wait for the next turn, and take it."""

    def hear(self, stated: Mapping[str, int | None], used_by_all: tuple[int | None, ...]) -> None:
        """Take note of limits that the API has stated, and of the tokens that everybody has used."""

    def pause(self, seconds: float) -> None:
        """Hold every caller of every process back for this long."""


@dataclass(slots=True)
class EndpointLimiter:
    """The limits of one endpoint, or of one model at the endpoint. Callers get their turns in the order they come.

    Attributes:
        pace: requests a minute.
        windows: tokens a minute: none, or input and output.
        shared: where turns come from; None: this process has the limits for itself.
    """

    pace: RequestPace
    windows: tuple[TokenWindow, ...] = ()
    shared: TurnSource | None = None
    _queue: asyncio.Lock = field(default_factory=asyncio.Lock)
    _paused_until: float = -math.inf

    async def turn(self, weight: CallWeight = NO_WEIGHT) -> QueuedCall:
        """Wait for the next turn, and take it."""
        if self.shared is not None:
            return await self.shared.turn(weight)
        tokens = (weight.input_tokens, weight.output_tokens)
        loop = asyncio.get_running_loop()
        async with self._queue:
            wait = self._wait(tokens, loop.time())
            while wait > 0:
                await asyncio.sleep(min(wait, _LOOK_SECONDS))
                wait = self._wait(tokens, loop.time())
            now = loop.time()
            self.pace.take(now)
            pairs = zip(self.windows, tokens, strict=False)
            return QueuedCall(tuple((window, window.take(number, now)) for window, number in pairs))

    def too_heavy(self, weight: CallWeight) -> str | None:
        """Why a call can never have its turn, since the policy's rates are never exceeded; None: it can."""
        tokens = (weight.input_tokens, weight.output_tokens)
        for window, number in zip(self.windows, tokens, strict=False):
            if window.given is not None and number > window.given:
                name = window.name.replace("-", "_")
                return (
                    f"its {number:,} {window.name.replace('-', ' ')} are more than limits.{name}_per_minute "
                    f"({window.given:,}) lets leave in a minute; raise that, or make the job smaller"
                )
        return None

    def observe(self, headers: Mapping[str, str], *, answered: bool = True) -> None:
        """Take up what the API's headers say of the account's limits.

        Args:
            headers: of any answer.
            answered: the call was answered, so that a rate which is not stated is one that is not there.
        """
        stated: dict[str, int | None] = {}
        for name in (_REQUESTS, *(window.name for window in self.windows)):
            limit = _figure(headers, name, "limit") or None
            if limit or answered:
                stated[name] = limit
        self.heed(stated)
        used = tuple(window.used_by_all(headers) for window in self.windows)
        if self.shared is not None:
            self.shared.hear(stated, used)
            return
        now = asyncio.get_running_loop().time()
        for window, used_by_all in zip(self.windows, used, strict=True):
            window.count_others(used_by_all, now)

    def heed(self, stated: Mapping[str, int | None]) -> None:
        """Take up limits that the API has stated, by their names in its headers."""
        if _REQUESTS in stated:
            self.pace.heed(stated[_REQUESTS], asyncio.get_running_loop().time())
        for window in self.windows:
            if window.name in stated:
                window.heed(stated[window.name])

    @property
    def per_minute(self) -> tuple[int, int | None, int | None]:
        """Requests, input tokens and output tokens a minute that are to be kept now; None: no such limit."""
        inputs, outputs = (window.per_minute for window in self.windows) if self.windows else (None, None)
        return self.pace.careful_per_minute, inputs, outputs

    def pause(self, seconds: float) -> None:
        """Hold every caller back for this long: the API said so to one of them, and means all."""
        if self.shared is not None:
            self.shared.pause(seconds)
        self._paused_until = max(self._paused_until, asyncio.get_running_loop().time() + seconds)

    def _wait(self, tokens: tuple[int, int], now: float) -> float:
        waits = [window.wait(number, now) for window, number in zip(self.windows, tokens, strict=False)]
        return max(self._paused_until - now, self.pace.wait(now), *waits, 0.0)


def message_limiter(model: str, limits: RateLimits) -> EndpointLimiter:
    """The limits of Messages for one model: the policy's, or the account's where it leaves them out."""
    start = START_FABLE_TOKENS_PER_MINUTE if "fable" in model else START_TOKENS_PER_MINUTE
    return EndpointLimiter(
        RequestPace(limits.messages_per_minute, START_MESSAGES_PER_MINUTE),
        (
            TokenWindow("input-tokens", limits.input_tokens_per_minute, start[0]),
            TokenWindow("output-tokens", limits.output_tokens_per_minute, start[1]),
        ),
    )


def _figure(headers: Mapping[str, str], limit: str, part: str) -> int | None:
    """A figure of the rate-limit headers; None where there is none that can be read."""
    stated = headers.get(_HEADER.format(limit, part), "")
    return int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 16 else None
