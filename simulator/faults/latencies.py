"""How long each answer of a run takes."""

from simulator.plan import Plan
from simulator.plan.chances import chance


class Latencies:
    """The seconds each answer takes by the plan."""

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
