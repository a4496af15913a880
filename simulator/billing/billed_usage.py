"""What one message is billed: its usage as the API reports it, and its cost.

Source: Anthropic docs, "Pricing" (2026-10-10), "Batch processing" (2026-10-08); SDK 2.12.0, `Usage`.
"""

from dataclasses import dataclass, replace
from typing import Any

from simulator.answers.refusals import AnsweredRefusal
from simulator.billing.catalogue import Model

#: price of `inference_geo: "us"` in percent. Source: Anthropic docs, "Data residency" (2026-08).
GEO_PERCENT = 110

#: a batch costs one part in this many. Source: Anthropic docs, "Batch processing" (2026-10-08): half.
BATCH_SHARE = 2

#: price of one web search in nano-USD, the same in a batch. Source: Anthropic docs, "Pricing": 10 USD per
#: 1,000. Web fetches cost their tokens only; code execution is billed by container time, which no usage
#: holds.
SEARCH_NANO_USD = 10_000_000

#: tokens are priced in this part of a nano-USD, in which every price is a whole number
SHARES_PER_NANO_USD = 100 * BATCH_SHARE


@dataclass(frozen=True, slots=True)
class ServerUse:
    """How often a message used the tools that run at the API.

    Attributes:
        searches: web searches.
        fetches: web pages fetched.
        executions: code executions.
    """

    searches: int = 0
    fetches: int = 0
    executions: int = 0

    @property
    def calls(self) -> int:
        """All of them."""
        return self.searches + self.fetches + self.executions


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """The tokens of one message.

    Attributes:
        input_tokens: input that was neither written to nor read from the cache.
        output_tokens: output, thinking included.
        write_5m: input written to the five-minute cache.
        write_1h: input written to the one-hour cache.
        read: input read from the cache.
        geo: where it ran: "us" costs more, "global" does not.
        speed: "standard" or "fast".
        stop_reason: why the output ended.
        tier: "standard", or "batch" at half the price.
        thinking: the part of the output that is thinking; None if the request does not think.
        server: use of server tools; None if the request has none.
        refusal: the refusal it ended in, if it did.
    """

    input_tokens: int
    output_tokens: int
    write_5m: int = 0
    write_1h: int = 0
    read: int = 0
    geo: str = "global"
    speed: str = "standard"
    stop_reason: str = "end_turn"
    tier: str = "standard"
    thinking: int | None = None
    server: ServerUse | None = None
    refusal: AnsweredRefusal | None = None

    @property
    def total_input(self) -> int:
        """All input tokens, those of the cache included; what a count is to be compared with."""
        return self.input_tokens + self.write_5m + self.write_1h + self.read

    @property
    def billed(self) -> bool:
        """Whether it is paid for; its tokens are shown either way."""
        return self.refusal is None or self.refusal.billed

    def times(self, factor: float) -> "BilledUsage":
        """The same with `factor` times the tokens of every kind, rounded down."""
        return replace(
            self,
            input_tokens=int(self.input_tokens * factor),
            output_tokens=int(self.output_tokens * factor),
            write_5m=int(self.write_5m * factor),
            write_1h=int(self.write_1h * factor),
            read=int(self.read * factor),
            thinking=None if self.thinking is None else int(self.thinking * factor),
        )

    def as_reply(self) -> dict[str, Any]:
        """The `usage` object of a reply."""
        server = self.server
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.write_5m + self.write_1h,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.write_5m,
                "ephemeral_1h_input_tokens": self.write_1h,
            },
            "output_tokens": self.output_tokens,
            "output_tokens_details": None if self.thinking is None else {"thinking_tokens": self.thinking},
            "server_tool_use": None
            if server is None
            else {
                "web_search_requests": server.searches,
                "web_fetch_requests": server.fetches,
                "code_execution_requests": server.executions,
            },
            "service_tier": self.tier,
            "inference_geo": self.geo,
            "speed": self.speed,
        }


def token_costs(usage: BilledUsage, model: Model) -> dict[str, int]:
    """What the tokens of one message cost, kind by kind; whether it is billed is not asked.

    With server tools the whole input of all sampling calls decides which side of a price threshold the
    message is on: an assumption, as a usage does not tell the calls apart.

    Args:
        usage: its tokens.
        model: the model it ran on.

    Returns:
        cost by the cost report's `token_type`, in 1/`SHARES_PER_NANO_USD` nano-USD.
    """
    prices = model.prices
    if model.prices_above is not None and usage.total_input > model.prices_above[0]:
        prices = model.prices_above[1]
    factor = GEO_PERCENT if usage.geo == "us" else 100
    if usage.tier != "batch":
        factor *= BATCH_SHARE
    if usage.speed == "fast":
        factor *= model.fast or 1
    return {
        "uncached_input_tokens": factor * usage.input_tokens * prices.input,
        "cache_creation.ephemeral_5m_input_tokens": factor * usage.write_5m * prices.write_5m,
        "cache_creation.ephemeral_1h_input_tokens": factor * usage.write_1h * prices.write_1h,
        "cache_read_input_tokens": factor * usage.read * prices.read,
        "output_tokens": factor * usage.output_tokens * prices.output,
    }


def cost_nano_usd(usage: BilledUsage, model: Model) -> int:
    """The price of one message.

    Args:
        usage: its tokens.
        model: the model it ran on.

    Returns:
        nano-USD; the exact price of its tokens is rounded up once. 0 for an unbilled refusal.
    """
    if not usage.billed:
        return 0
    tokens = -(-sum(token_costs(usage, model).values()) // SHARES_PER_NANO_USD)
    return tokens + (usage.server.searches * SEARCH_NANO_USD if usage.server is not None else 0)


def usd(nano_usd: int) -> str:
    """Nano-USD as an exact decimal string of USD, with nine decimals."""
    return f"{nano_usd // 10**9}.{nano_usd % 10**9:09d}"
