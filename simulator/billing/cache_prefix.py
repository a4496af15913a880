"""What of a request can be cached: where its prefixes end, what stands for them, and how long they are.

A request is read in the order tools, system, messages. A prefix is everything up to and including one block; a marker
on a block asks for a cache entry of exactly that prefix. A request has at most four markers, that on the request
itself included, which stands for the last block that may have one. What stands for a prefix is a chain of hashes over:

- the model and the format of the output, then the tools: a change of them invalidates every entry;
- the speed and whether documents are cited, then the system blocks: invalidates system and messages;
- `tool_choice`, whether there are images, the thinking and the effort, then the blocks of the messages with their
  roles: invalidates messages. Thinking that a model does not keep in its context is not part of it.

Markers, lifetimes, `max_tokens` and the like are not part of it. A setting that is left out counts as its default.

From each marker an earlier entry is looked for at up to 20 positions, that of the marker included. A position is a
block; tool uses in a row are one, and so are tool results in a row. A prefix that is shorter than the model's minimum
is not cached, and nothing says so.

Source: Anthropic docs, "Prompt caching" (2026-09), "How automatic prefix checking works", "Cache limitations", "What
invalidates the cache", "Mixing different TTLs"; "Structured outputs" (2026-09) for the format. Not confirmed, and so
assumed: that every tool and every system block is a position; that the keys inside a tool's schema or a tool's input
matter in their order and those of a block itself do not; that a region does not; that markers on blocks within blocks
are ignored; that thinking and effort leave tools and system valid, which the docs call specific to the model without
naming models; that switching web search is a change of the tools like any other (the docs: tools stay valid).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from simulator.billing.catalogue import Model
from simulator.billing.counting import (
    THINKING_BLOCKS,
    TokenSum,
    blocks_of,
    kept_thinking_from,
    plain,
    tool_overhead,
)

#: seconds an entry lives after it was written or read last, by the `ttl` of its marker
LIFETIME_SECONDS = {"5m": 300, "1h": 3_600}

#: positions at which an earlier entry is looked for, from each marker, that of the marker included
LOOK_BACK = 20

#: blocks of which those in a row are one position
_RUNS = frozenset({"tool_use", "tool_result"})

_TOOLS, _SYSTEM, _MESSAGES = range(3)


@dataclass(frozen=True, slots=True)
class CachedPart:
    """The part of a request's input that the cache is billed for, in tokens.

    Attributes:
        read: read from the cache.
        write_1h: written to the one-hour cache.
        write_5m: written to the five-minute cache.
    """

    read: int = 0
    write_1h: int = 0
    write_5m: int = 0

    @property
    def tokens(self) -> int:
        """All of it: the input up to the last marker."""
        return self.read + self.write_1h + self.write_5m

    def within(self, total: int) -> "CachedPart":
        """The same, cut so that at least one of `total` input tokens is left uncached."""
        read = min(self.read, total - 1)
        write_1h = min(self.write_1h, total - 1 - read)
        return CachedPart(read, write_1h, min(self.write_5m, total - 1 - read - write_1h))


NOT_CACHED = CachedPart()


@dataclass(frozen=True, slots=True)
class PrefixEnd:
    """A block that a prefix may end at.

    Attributes:
        key: stands for everything up to and including the block.
        tokens: input tokens up to there, by the count.
        position: number of its position, which look-backs count.
    """

    key: bytes
    tokens: int
    position: int


@dataclass(frozen=True, slots=True)
class CacheMarker:
    """A marker whose prefix is long enough to be cached.

    Attributes:
        end: number of the block in the request's prefix ends.
        ttl: lifetime of what it writes, "5m" or "1h".
    """

    end: int
    ttl: str


@dataclass(frozen=True, slots=True)
class CachePrefixes:
    """The prefixes of one request.

    Attributes:
        ends: where prefixes may end, in order, up to the last marker.
        markers: its markers, at least one, in order.
    """

    ends: tuple[PrefixEnd, ...]
    markers: tuple[CacheMarker, ...]

    def looked_at(self) -> Iterator[int]:
        """Numbers of the ends at which an entry is looked for, the longest prefix first, each once."""
        index = len(self.ends)
        for marker in reversed(self.markers):
            index = min(index, marker.end + 1)
            first = self.ends[marker.end].position - LOOK_BACK + 1
            while index and self.ends[index - 1].position >= first:
                index -= 1
                yield index

    def part(self, hit: int | None) -> CachedPart:
        """What the request is billed for, by the positions A, B and C of "Mixing different TTLs".

        Args:
            hit: number of the end at which an entry was found, None if there was none.
        """
        read = 0 if hit is None else self.ends[hit].tokens
        hours = [marker.end for marker in self.missed(hit) if marker.ttl == "1h"]
        hour = self.ends[hours[-1]].tokens if hours else read
        return CachedPart(read, hour - read, max(0, self.ends[self.markers[-1].end].tokens - hour))

    def missed(self, hit: int | None) -> tuple[CacheMarker, ...]:
        """The markers behind a hit: those that write."""
        return tuple(marker for marker in self.markers if hit is None or marker.end > hit)


def cut_prefixes(body: dict[str, Any], model: Model) -> CachePrefixes | None:
    """Cut a request at its markers.

    Args:
        body: the checked request.
        model: the model it runs on.

    Returns:
        its prefixes; None if nothing of it is to be cached.
    """
    if not _has_marker(body):
        return None
    blocks = list(_blocks(body, model))
    ttls = _ttls(blocks, body.get("cache_control"))
    ends = _ends(blocks[: max(ttls, default=-1) + 1], body, model)
    markers = tuple(
        CacheMarker(index, ttl)
        for index, ttl in sorted(ttls.items())
        if ends[index].tokens >= model.min_cacheable
    )
    return CachePrefixes(ends, markers) if markers else None


class _Block(NamedTuple):
    """A block in its place: its level, the number of messages begun by then, and the role of its message."""

    level: int
    block: dict[str, Any]
    messages: int = 0
    role: str = ""


def _has_marker(body: dict[str, Any]) -> bool:
    """Whether a request has a marker; kept quick, as every request is asked and most have none."""
    if body.get("cache_control") or _one_marked(body.get("tools")) or _one_marked(body.get("system")):
        return True
    return any(_one_marked(message["content"]) for message in body["messages"])


def _one_marked(content: Any) -> bool:
    if isinstance(content, list):
        for block in content:
            if block.get("cache_control"):
                return True
    return False


def _blocks(body: dict[str, Any], model: Model) -> Iterator[_Block]:
    """Every block of a request that is in the model's context, in order."""
    for tool in body.get("tools") or ():
        yield _Block(_TOOLS, tool)
    for block in _as_blocks(body.get("system") or ()):
        yield _Block(_SYSTEM, block)
    messages = body["messages"]
    kept_from = kept_thinking_from(messages, model)
    for number, message in enumerate(messages):
        for block in _as_blocks(message["content"]):
            if number >= kept_from or block["type"] not in THINKING_BLOCKS:
                yield _Block(_MESSAGES, block, number + 1, message["role"])


def _as_blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _ttls(blocks: list[_Block], on_request: dict[str, Any] | None) -> dict[int, str]:
    """The lifetimes of the markers, by the number of their block."""
    ttls: dict[int, str] = {}
    for index, place in enumerate(blocks):
        marker = place.block.get("cache_control")
        if marker:
            ttls[index] = marker.get("ttl") or "5m"
    if on_request:
        last = next(
            (index for index in range(len(blocks) - 1, -1, -1) if _may_be_marked(blocks[index])), None
        )
        if last is not None:
            ttls.setdefault(last, on_request.get("ttl") or "5m")
    return ttls


def _may_be_marked(place: _Block) -> bool:
    kind = place.block.get("type")
    return kind not in THINKING_BLOCKS and (kind != "text" or bool(place.block["text"]))


def _ends(blocks: list[_Block], body: dict[str, Any], model: Model) -> tuple[PrefixEnd, ...]:
    """The prefix ends at some blocks, which are the first ones of a request."""
    settings = _settings(body, model)
    total = TokenSum()
    key, level, position, before = b"", -1, 0, None
    ends = []
    for place in blocks:
        while level < place.level:
            level += 1
            key = _linked(key, settings[level])
            if level == _TOOLS and body.get("tools"):
                total.fixed += tool_overhead(body, model)
        if level == _TOOLS:
            total.add_tool(place.block, model)
        else:
            total.add_block(place.block)
        kind = place.block.get("type")
        if kind not in _RUNS or kind != before:
            position += 1
        before = kind
        key = _linked(key, [place.messages, place.role, dict(sorted(plain(place.block).items()))])
        ends.append(PrefixEnd(key, total.tokens(model, place.messages), position))
    return tuple(ends)


def _settings(body: dict[str, Any], model: Model) -> tuple[list[Any], list[Any], list[Any]]:
    """The settings that are part of a prefix from each level on."""
    contents = [body.get("system"), *(message["content"] for message in body["messages"])]
    blocks = [block for content in contents for block in blocks_of(content)]
    cites = any(
        (block.get("citations") or {}).get("enabled") for block in blocks if block["type"] == "document"
    )
    images = any(block["type"] == "image" for block in blocks)
    output = body.get("output_config") or {}
    thinking = body.get("thinking") or {"type": "adaptive" if model.thinks else "disabled"}
    return (
        [model.id, output.get("format")],
        [body.get("speed") == "fast" and model.fast != 1, cites],
        [
            body.get("tool_choice") or {"type": "auto"},
            images,
            thinking["type"],
            thinking.get("budget_tokens"),
            output.get("effort") or model.default_effort,
        ],
    )


def _linked(key: bytes, value: list[Any]) -> bytes:
    """The key of a prefix that goes on with a value."""
    return hashlib.blake2b(key + orjson.dumps(value), digest_size=20).digest()
