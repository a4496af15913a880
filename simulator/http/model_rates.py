"""The limits of models: requests, input tokens and output tokens a minute, shared by the models of one limit.

Input tokens count what is neither read from the cache nor paid as such: uncached input and what is written to the
cache. Output tokens count what was written; `max_tokens` changes nothing. A request is refused while its input does not
fit, or while output of earlier ones is still to be made up for. Requests are held to the second, tokens to the minute.
Requests inside of batches count under none of these.

Source: Anthropic docs, "Rate limits" (2026-10-08). That an input larger than a whole minute's is always refused, and
that the `tokens` headers state the limit with the smaller part left, are readings of it.
"""

import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from simulator.billing.billed_usage import BilledUsage
from simulator.billing.catalogue import find_model
from simulator.http.api_errors import RefusedError
from simulator.http.rate_limits import Bucket
from simulator.plan.api_clock import ApiClock
from simulator.plan.plan_sections import ModelRatePlan

Monotonic = Callable[[], float]

#: longest `retry-after`: in a minute every limit is full
MAX_RETRY_SECONDS = 60

#: what the remaining tokens of the headers are rounded to
ROUNDED_TO = 1_000


class TokenBucket:
    """Tokens a minute, filled evenly, holding at most a minute's worth, and in debt after more was used than left.

    Args:
        per_minute: tokens per minute.
        clock: seconds, monotonic.
    """

    def __init__(self, per_minute: int, clock: Monotonic = time.monotonic) -> None:
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._level = float(per_minute)
        self._clock = clock
        self._at = clock()

    @property
    def level(self) -> float:
        """Tokens that are left; below zero if more was used."""
        now = self._clock()
        self._level = min(float(self.per_minute), self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level

    def wait_for(self, tokens: int) -> int | None:
        """Whole seconds until this many tokens are left; None if they are."""
        missing = tokens - self.level
        if missing <= 0:
            return None
        return min(MAX_RETRY_SECONDS, max(1, math.ceil(missing / self._rate)))

    def use(self, tokens: int) -> None:
        """Use tokens, more than are left if need be."""
        self._level = self.level - tokens

    @property
    def seconds_to_full(self) -> float:
        """Seconds until nothing of it is used."""
        return (self.per_minute - self.level) / self._rate


class ModelRate:
    """One limit.

    Args:
        limits: what is limited, and to how much.
        clock: dates the headers.
        monotonic: seconds, monotonic.
    """

    def __init__(self, limits: ModelRatePlan, clock: ApiClock, monotonic: Monotonic = time.monotonic) -> None:
        self._clock = clock
        self._requests = self._input = self._output = None
        if limits.requests_per_minute is not None:
            self._requests = Bucket(limits.requests_per_minute, monotonic)
        if limits.input_tokens_per_minute is not None:
            self._input = TokenBucket(limits.input_tokens_per_minute, monotonic)
        if limits.output_tokens_per_minute is not None:
            self._output = TokenBucket(limits.output_tokens_per_minute, monotonic)

    def admit(self, input_tokens: int) -> None:
        """Take a request's place.

        Args:
            input_tokens: its input without what the cache holds, by the count.

        Raises:
            RefusedError: 429 with the seconds after which to come back, if one of the limits is reached.
        """
        for name, bucket, wanted in (("input", self._input, input_tokens), ("output", self._output, 1)):
            wait = None if bucket is None else bucket.wait_for(wanted)
            if bucket is not None and wait is not None:
                raise _exceeded(f"{bucket.per_minute:,} {name} tokens per minute", wait)
        wait = None if self._requests is None else self._requests.take()
        if self._requests is not None and wait is not None:
            raise _exceeded(f"{self._requests.per_minute:,} requests per minute", wait)

    def settle(self, usage: BilledUsage) -> None:
        """Count what an admitted request used."""
        if self._input is not None:
            self._input.use(usage.input_tokens + usage.write_5m + usage.write_1h)
        if self._output is not None:
            self._output.use(usage.output_tokens)

    def headers(self) -> dict[str, str]:
        """The `anthropic-ratelimit-*` headers of the limits that there are, as they stand."""
        headers: dict[str, str] = {}
        if self._requests is not None:
            figures = self._requests.per_minute, self._requests.remaining
            headers |= _figures("requests", *figures, self._stamp(1))
        pairs = (("input-tokens", self._input), ("output-tokens", self._output))
        tokens = [(name, bucket) for name, bucket in pairs if bucket is not None]
        for name, bucket in tokens:
            headers |= self._token_figures(name, bucket)
        if tokens:
            tightest = min(
                (bucket for _, bucket in tokens), key=lambda bucket: bucket.level / bucket.per_minute
            )
            headers |= self._token_figures("tokens", tightest)
        return headers

    def _token_figures(self, name: str, bucket: TokenBucket) -> dict[str, str]:
        left = max(0, round(bucket.level / ROUNDED_TO) * ROUNDED_TO)
        return _figures(name, bucket.per_minute, left, self._stamp(bucket.seconds_to_full))

    def _stamp(self, ahead: float) -> str:
        """The time this many seconds ahead, rounded up (RFC 3339)."""
        moment = datetime.fromtimestamp(math.ceil(self._clock.seconds() + ahead), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


class ModelRates:
    """The limits of a plan, by model.

    Args:
        limits: each with its models.
        clock: dates the headers.
    """

    def __init__(self, limits: Sequence[ModelRatePlan], clock: ApiClock) -> None:
        self._by_id: dict[str, ModelRate] = {}
        for each in limits:
            rate = ModelRate(each, clock)
            for name in each.models:
                model = find_model(name)
                self._by_id[name if model is None else model.id] = rate

    def of(self, model_id: str) -> ModelRate | None:
        """The limit that a model is under; None if it has none of its own."""
        return self._by_id.get(model_id)


def _exceeded(what: str, wait: int) -> RefusedError:
    message = f"This request would exceed your organization's rate limit of {what}"
    return RefusedError(429, message, retry_after=wait)


def _figures(name: str, limit: int, remaining: int, reset: str) -> dict[str, str]:
    start = f"anthropic-ratelimit-{name}"
    return {f"{start}-limit": str(limit), f"{start}-remaining": str(remaining), f"{start}-reset": reset}
