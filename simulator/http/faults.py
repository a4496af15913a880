"""Decides, request by request, what a plan does to it: a fault, a latency, a place under the limit."""

import time
from collections.abc import Callable
from typing import Any

import orjson

from simulator.answers.chances import chance
from simulator.http.api_errors import SPEND_CAP_CODE, RefusedError
from simulator.plan import Fault, Plan


class Cut(Exception):  # noqa: N818 - an order to the transport, not an error
    """The connection is to be cut without an answer."""


class FaultPicker:
    """Asks the plan's faults about each request.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._seed = plan.seed
        self._faults = tuple(
            (index, fault, fault.match.encode() if fault.match is not None else b"")
            for index, fault in enumerate(plan.faults)
        )
        self._aimed = [0] * len(plan.faults)

    def pick(self, endpoint: str, raw: bytes) -> Fault | None:
        """The fault that strikes a request.

        Args:
            endpoint: One of the plan's endpoint names.
            raw: The request's body bytes; without a body its path.

        Returns:
            The fault, or None.
        """
        for index, fault, match in self._faults:
            if fault.endpoint == endpoint and match in raw and self._strikes(index, fault):
                return fault
        return None

    def _strikes(self, index: int, fault: Fault) -> bool:
        self._aimed[index] += 1
        number = self._aimed[index]
        if fault.first_n is not None and number > fault.first_n:
            return False
        if fault.every_nth is not None and number % fault.every_nth:
            return False
        return fault.probability is None or chance(self._seed, index, number) < fault.probability


def strike_before(fault: Fault | None) -> None:
    """Raises for faults that strike before a request is accepted.

    Args:
        fault: The fault picked for it, if any.

    Raises:
        RefusedError: For "status" and "spend_cap".
        Cut: For "cut_before".
    """
    if fault is None:
        return
    if fault.kind == "status":
        message = "planned fault of the simulator"
        raise RefusedError(fault.status or 500, message, retry_after=fault.retry_after)
    if fault.kind == "spend_cap":
        raise RefusedError(
            429, "Your organization has reached its monthly API usage threshold", error_code=SPEND_CAP_CODE
        )
    if fault.kind == "cut_before":
        raise Cut


def strike_after(fault: Fault | None, answer: Any) -> Any:
    """Spoils the answer of an accepted request.

    Args:
        fault: The fault picked for it, if any.
        answer: The answer as a JSON object; any other is sent as it is or not at all.

    Returns:
        What to send: a JSON object, bytes as they are, or the other answer.

    Raises:
        Cut: For "cut_after", which sends nothing.
    """
    if fault is None:
        return answer
    if fault.kind == "cut_after":
        raise Cut
    if fault.kind == "malformed_body" and isinstance(answer, dict):
        text = orjson.dumps(answer)
        return text[: len(text) // 2]
    if fault.kind == "usage_missing":
        return {name: value for name, value in answer.items() if name not in ("usage", "input_tokens")}
    return answer


class Latencies:
    """The seconds each answer takes by the plan.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._number = 0

    def next(self, endpoint: str) -> float:
        """Seconds to wait before the next answer of an endpoint."""
        latency = self._plan.latency
        seconds = latency.message_seconds if endpoint == "messages" else latency.count_seconds
        if not seconds or not latency.jitter:
            return seconds
        self._number += 1
        return seconds * (1 + latency.jitter * (2 * chance(self._plan.seed, "latency", self._number) - 1))


class Bucket:
    """A token bucket of requests, filled evenly and holding at most one second's worth.

    Source: Anthropic docs, "Rate limits" (2026-10-08): a per-minute limit may be enforced per second.

    Args:
        per_minute: Requests per minute.
        clock: Seconds, monotonic.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._rate = per_minute / 60
        self._room = max(1.0, self._rate)
        self._left = self._room
        self._clock = clock
        self._at = clock()

    def take(self) -> int | None:
        """Takes one request's place.

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
        """Requests that would be let through at once."""
        return int(self._left)
