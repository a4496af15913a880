"""The billing log added up by the minute: what the usage and cost reports are made of.

The log is read as a stream, lines of earlier simulators included, and each line once.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from simulator.billing.billed_usage import (
    SEARCH_NANO_USD,
    SHARES_PER_NANO_USD,
    BilledUsage,
    ServerUse,
    token_costs,
)
from simulator.billing.catalogue import Model, find_model
from simulator.plan.api_clock import ApiClock
from simulator.unhurried import unhurried

#: an input above it is in the context window "200k-1M". Source: Anthropic docs, "Usage report".
LONG_CONTEXT_TOKENS = 200_000


class Kind(NamedTuple):
    """What the reports separate usage by, besides time.

    Attributes:
        api_key_id: id of the key it was asked for with; None in lines that have none.
        workspace_id: None, the default workspace.
        model: model id.
        service_tier: "standard" or "batch".
        context_window: "0-200k" or "200k-1M".
        inference_geo: "global", "us", or "not_available" on models that cannot choose.
        speed: "standard" or "fast".
    """

    api_key_id: str | None
    workspace_id: str | None
    model: str
    service_tier: str
    context_window: str
    inference_geo: str
    speed: str


@dataclass(slots=True)
class Total:
    """Usage and cost of one kind in one minute.

    Attributes:
        usage: tokens by the usage report's names, and "web_search_requests"; unbilled refusals included.
        costs: what is paid for tokens, by the cost report's `token_type`, in 1/`SHARES_PER_NANO_USD`
            nano-USD.
        search_nano_usd: what is paid for web searches, nano-USD.
    """

    usage: dict[str, int] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    search_nano_usd: int = 0


class BillingTotals:
    """The totals of one billing log.

    Args:
        path: the log.
        clock: the API's, by which the log is dated; None for the machine's.
    """

    def __init__(self, path: Path, clock: ApiClock | None = None) -> None:
        self.clock = clock or ApiClock()
        self._path = path
        self._offset = 0
        self._lines = 0
        self._totals: dict[tuple[int, Kind], Total] = {}
        self._reading = asyncio.Lock()

    async def read(self) -> dict[tuple[int, Kind], Total]:
        """The totals, up to the last line that is in the log.

        Returns:
            totals by (start of the minute in seconds since 1970 UTC, kind).

        Raises:
            ValueError: if a line cannot be understood; those before it are counted, those after it never
                are, so that no report leaves anything out unsaid.
        """
        async with self._reading:
            async for line in unhurried(self._new_lines()):
                try:
                    self._add(orjson.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise ValueError(f"line {self._lines + 1} of the billing log cannot be read") from error
                self._offset += len(line)
                self._lines += 1
        return self._totals

    def _new_lines(self) -> Iterator[bytes]:
        """The complete lines that have not been added yet."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if line.endswith(b"\n"):
                    yield line

    def _add(self, line: dict[str, Any]) -> None:
        model = find_model(line["model"])
        if model is None:
            raise ValueError("unknown model")
        usage = _usage(line["usage"])
        costs, search_nano_usd = _costs(line, usage, model)
        minute = int(datetime.fromisoformat(line["time"]).timestamp()) // 60 * 60
        total = self._totals.setdefault((minute, _kind(line, usage, model)), Total())
        _add(total.usage, _figures(usage))
        _add(total.costs, costs)
        total.search_nano_usd += search_nano_usd


def _usage(shown: dict[str, Any]) -> BilledUsage:
    """The usage that a line shows."""
    server = shown.get("server_tool_use")
    return BilledUsage(
        input_tokens=shown["input_tokens"],
        output_tokens=shown["output_tokens"],
        write_5m=shown["cache_creation"]["ephemeral_5m_input_tokens"],
        write_1h=shown["cache_creation"]["ephemeral_1h_input_tokens"],
        read=shown["cache_read_input_tokens"],
        geo=shown["inference_geo"],
        speed=shown["speed"],
        tier=shown["service_tier"],
        server=None if server is None else ServerUse(searches=server["web_search_requests"]),
    )


def _kind(line: dict[str, Any], usage: BilledUsage, model: Model) -> Kind:
    return Kind(
        api_key_id=line.get("api_key_id"),
        workspace_id=line.get("workspace_id"),
        model=model.id,
        service_tier=usage.tier,
        context_window="200k-1M" if usage.total_input > LONG_CONTEXT_TOKENS else "0-200k",
        inference_geo=usage.geo if model.geo else "not_available",
        speed=usage.speed,
    )


def _figures(usage: BilledUsage) -> dict[str, int]:
    return {
        "uncached_input_tokens": usage.input_tokens,
        "ephemeral_5m_input_tokens": usage.write_5m,
        "ephemeral_1h_input_tokens": usage.write_1h,
        "cache_read_input_tokens": usage.read,
        "output_tokens": usage.output_tokens,
        "web_search_requests": 0 if usage.server is None else usage.server.searches,
    }


def _costs(line: dict[str, Any], usage: BilledUsage, model: Model) -> tuple[dict[str, int], int]:
    """What a line was billed, by kind of token, and for searches; the line's own cost is the sum.

    A line's cost was rounded up to a nano-USD, and the prices of its day may have been others; what that
    makes goes to the last kind it was billed for.
    """
    if not line.get("billed", True):
        return {}, 0
    search = 0 if usage.server is None else usage.server.searches * SEARCH_NANO_USD
    costs = {name: cost for name, cost in token_costs(usage, model).items() if cost}
    paid = (line["cost_nano_usd"] - search) * SHARES_PER_NANO_USD
    last = next(reversed(costs), "output_tokens")
    costs[last] = costs.get(last, 0) + paid - sum(costs.values())
    return costs, search


def _add(sums: dict[str, int], more: dict[str, int]) -> None:
    for name, number in more.items():
        sums[name] = sums.get(name, 0) + number
