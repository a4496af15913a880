"""What an accepted message is billed: its usage, its cost, and why it stopped.

All of it follows from the request alone (and, with `cache_control`, from the prefixes seen before), so the
same requests in the same order cost the same.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from services.simulator.caching import PromptCache
from services.simulator.catalogue import Model
from services.simulator.counting import count_tokens

DEVIATION_TOKENS = 8
DEVIATION_PERCENT = 1
"""Billed input differs from the count by at most the larger of these two, in either direction. The real
difference is called "a small amount" and has no published bound (Anthropic docs, "Token counting")."""

OUTPUT_MIN_TOKENS = 20
OUTPUT_MAX_TOKENS = 250
"""Range of the output when the request does not ask for a number."""

GEO_PERCENT = 110
"""Price of `inference_geo: "us"` in percent. Source: Anthropic docs, "Data residency" (2026-08)."""

BATCH_SHARE = 2
"""A batch costs one part in this many. Source: Anthropic docs, "Batch processing" (2026-10-08): half."""

_WANTED_OUTPUT = re.compile(r"\[\[output_tokens=(\d{1,9})\]\]")


@dataclass(frozen=True, slots=True)
class Usage:
    """The billed tokens of one message.

    Args:
        input_tokens: Input that was neither written to nor read from the cache.
        output_tokens: Output, thinking included.
        write_5m: Input written to the five-minute cache.
        write_1h: Input written to the one-hour cache.
        read: Input read from the cache.
        geo: Where it ran: "us" costs more, "global" does not.
        speed: "standard" or "fast".
        stop_reason: Why the output ended.
        tier: "standard", or "batch" at half the price.
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

    @property
    def total_input(self) -> int:
        """All input tokens, those of the cache included; what a count is to be compared with."""
        return self.input_tokens + self.write_5m + self.write_1h + self.read

    def as_reply(self) -> dict[str, Any]:
        """The `usage` object of a reply."""
        return {
            "input_tokens": self.input_tokens,
            "cache_creation_input_tokens": self.write_5m + self.write_1h,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.write_5m,
                "ephemeral_1h_input_tokens": self.write_1h,
            },
            "output_tokens": self.output_tokens,
            "output_tokens_details": None,
            "server_tool_use": None,
            "service_tier": self.tier,
            "inference_geo": self.geo,
            "speed": self.speed,
        }


def payload_hash(body: dict[str, Any]) -> str:
    """SHA-256 (hex) of a body's canonical JSON: sorted keys, compact, UTF-8 without ASCII escapes."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def billed_input(count: int, digest: str) -> int:
    """The input tokens billed for a request.

    Args:
        count: What count_tokens answers for it.
        digest: The request's `payload_hash`, which alone decides the difference.

    Returns:
        Tokens within `DEVIATION_TOKENS` or `DEVIATION_PERCENT` of the count, at least 1.
    """
    bound = max(DEVIATION_TOKENS, count * DEVIATION_PERCENT // 100)
    return max(1, count + int(digest[:16], 16) % (2 * bound + 1) - bound)


def usage_of(body: dict[str, Any], model: Model, cache: PromptCache, digest: str) -> Usage:
    """The usage of an accepted request.

    Args:
        body: The checked request.
        model: The model it runs on.
        cache: The prefixes seen before; this request's is added.
        digest: The request's `payload_hash`.

    Returns:
        Its billed tokens.
    """
    total = billed_input(count_tokens(body, model), digest)
    part = cache.share(body, model, total)
    output, stop_reason = _output(body, digest, room=max(1, model.max_input_tokens - total))
    return Usage(
        input_tokens=total - part.tokens,
        output_tokens=output,
        write_5m=part.tokens if part.kind == "write_5m" else 0,
        write_1h=part.tokens if part.kind == "write_1h" else 0,
        read=part.tokens if part.kind == "read" else 0,
        geo=body.get("inference_geo") or "global",
        speed="fast" if body.get("speed") == "fast" and model.fast != 1 else "standard",
        stop_reason=stop_reason,
    )


def _output(body: dict[str, Any], digest: str, *, room: int) -> tuple[int, str]:
    """Output tokens and stop reason: the wanted number, or one from the hash, cut by the limits."""
    found = _WANTED_OUTPUT.search(_last_user_text(body))
    span = OUTPUT_MAX_TOKENS - OUTPUT_MIN_TOKENS + 1
    wanted = max(1, int(found[1])) if found else OUTPUT_MIN_TOKENS + int(digest[16:32], 16) % span
    limit = body["max_tokens"]
    if wanted > room and limit > room:
        return room, "model_context_window_exceeded"
    return (limit, "max_tokens") if wanted > limit else (wanted, "end_turn")


def _last_user_text(body: dict[str, Any]) -> str:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return "\n".join(block["text"] for block in content if block["type"] == "text")
    return ""


def cost_nano_usd(usage: Usage, model: Model) -> int:
    """The price of one message.

    Args:
        usage: Its billed tokens.
        model: The model it ran on.

    Returns:
        Nano-USD; the exact price, halved for a batch, is rounded up once.
    """
    prices = model.prices
    if model.prices_above is not None and usage.total_input > model.prices_above[0]:
        prices = model.prices_above[1]
    cost = (
        usage.input_tokens * prices.input
        + usage.write_5m * prices.write_5m
        + usage.write_1h * prices.write_1h
        + usage.read * prices.read
        + usage.output_tokens * prices.output
    )
    if usage.speed == "fast":
        cost *= model.fast or 1
    percent = GEO_PERCENT if usage.geo == "us" else 100
    parts = 100 * (BATCH_SHARE if usage.tier == "batch" else 1)
    return -(-cost * percent // parts)


def usd(nano_usd: int) -> str:
    """Nano-USD as an exact decimal string of USD, with nine decimals."""
    return f"{nano_usd // 10**9}.{nano_usd % 10**9:09d}"
