"""A plain model of prompt caching: which part of a request is written to the cache or read from it.

A request's prefix is everything up to its last cache marker (tools, then system, then messages; a marker
on the request itself stands for its last block). The first time a prefix is seen under a model it is
written, at the marker's lifetime; afterwards it is read. Entries never expire and partial matches do not
count. Prefixes below the model's minimum are not cached.

Source: Anthropic docs, "Prompt caching" (2026-08).
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from simulator.billing.catalogue import Model
from simulator.billing.counting import count_tokens


@dataclass(frozen=True, slots=True)
class CachedPart:
    """The part of a request's input that the cache is billed for.

    Attributes:
        kind: "none", "write_5m", "write_1h" or "read".
        tokens: its input tokens; 0 for "none".
    """

    kind: Literal["none", "write_5m", "write_1h", "read"]
    tokens: int


_NOTHING = CachedPart("none", 0)


class PromptCache:
    """The prefixes seen so far, in memory."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def share(self, body: dict[str, Any], model: Model, total: int) -> CachedPart:
        """The cached part of one request; remembers its prefix.

        Args:
            body: the checked request.
            model: the model it runs on.
            total: all input tokens billed for it.

        Returns:
            the part; it always leaves at least one token uncached.
        """
        found = _cacheable(body, model, total)
        if found is None:
            return _NOTHING
        key, tokens, marker = found
        if key in self._seen:
            return CachedPart("read", tokens)
        self._seen.add(key)
        return CachedPart("write_1h" if marker.get("ttl") == "1h" else "write_5m", tokens)

    def readable(self, body: dict[str, Any], model: Model, total: int) -> int:
        """Tokens of a request that it would read from the cache by now; nothing is remembered.

        Args:
            body: the checked request.
            model: the model it is for.
            total: all its input tokens.
        """
        found = _cacheable(body, model, total)
        return found[1] if found is not None and found[0] in self._seen else 0


def _cacheable(body: dict[str, Any], model: Model, total: int) -> tuple[bytes, int, dict[str, Any]] | None:
    """(key of the prefix, its tokens, its marker) of a request; None if nothing of it is cached."""
    found = _prefix(body)
    if found is None:
        return None
    prefix, marker = found
    tokens = min(count_tokens(prefix, model), total - 1)
    if tokens < model.min_cacheable:
        return None
    key = hashlib.sha256(model.id.encode() + orjson.dumps(prefix, option=orjson.OPT_SORT_KEYS)).digest()
    return key, tokens, marker


def _prefix(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The request cut after its last cache marker, and that marker; None if there is no marker."""
    parts = {name: body[name] for name in ("tools", "tool_choice", "system") if body.get(name)}
    messages = body["messages"]
    if body.get("cache_control"):
        return {**parts, "messages": messages}, body["cache_control"]
    for position in range(len(messages) - 1, -1, -1):
        content = messages[position]["content"]
        cut = _last_marker(content)
        if cut is not None:
            last = {**messages[position], "content": content[: cut + 1]}
            return {**parts, "messages": [*messages[:position], last]}, content[cut]["cache_control"]
    for name in ("system", "tools"):
        cut = _last_marker(parts.get(name))
        if cut is not None:
            items = parts[name]
            kept = {**parts, name: items[: cut + 1], "messages": []}
            if name == "tools":
                kept.pop("system", None)
            return kept, items[cut]["cache_control"]
    return None


def _last_marker(items: Any) -> int | None:
    """Position of the last item of a list that carries a cache marker, or None."""
    if isinstance(items, list):
        for position in range(len(items) - 1, -1, -1):
            if items[position].get("cache_control"):
                return position
    return None
