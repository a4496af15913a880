"""The beginning of a request that others may share: where it may be cut, and a cache marker at such a place.

The order of a prompt is tools, system, messages; a marker caches all up to the block that it stands on, and any change
before it makes another prefix. What cannot carry a marker: thinking, an empty text, the request's other parameters
(source: Anthropic prompt caching page, 2026-08), and a tool with `defer_loading` (HTTP 400; source: tool search page).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.payload.payload import CacheTtl

#: what a prompt does not hang on
_FREE = frozenset({"max_tokens", "stop_sequences", "metadata", "service_tier"})
#: what is no parameter that a prompt hangs on: those, and its parts
_OUTSIDE = _FREE | {"tools", "system", "messages"}
#: blocks of a user's message that a marker may stand on
_MARKABLE = frozenset({"text", "image", "document", "tool_result"})
#: places that are looked at in one request
_MOST_CUTS = 64


@dataclass(frozen=True, slots=True)
class PromptCut:
    """A place in a request that a marker may stand on.

    Attributes:
        where: "tools", "system/2" or "messages/0/1": the block that the prefix ends with.
        digest: of all up to it, of the model, and of the parameters that a cached prompt hangs on.
        size: bytes of JSON up to it.
    """

    where: str
    digest: str
    size: int


def cuts_of(request: Mapping[str, Any], model: str) -> Iterator[PromptCut]:
    """The places of a request under a model, in the order in which its prompt is read, `_MOST_CUTS` at most."""
    rest = {name: value for name, value in request.items() if name not in _OUTSIDE}
    seen = hashlib.sha256(orjson.dumps([model, rest], option=orjson.OPT_SORT_KEYS))
    size = found = 0
    for where, part, may_carry in _parts(request):
        text = orjson.dumps(part)
        size += len(text)
        seen.update(b"%d:" % len(text))
        seen.update(text)
        if may_carry:
            yield PromptCut(where, seen.hexdigest(), size)
            found += 1
        if found == _MOST_CUTS:
            return


def _parts(request: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """The parts of a prompt in order: the place, what stands there, and whether a marker may stand on it."""
    if tools := request.get("tools"):
        yield "tools", tools, not tools[-1].get("defer_loading")
    for index, block in enumerate(_blocks(request.get("system"))):
        yield f"system/{index}", block, _carries(block)
    for number, message in enumerate(request["messages"]):
        is_user = message.get("role") == "user"
        for index, block in enumerate(_blocks(message.get("content"))):
            part = [message.get("role"), block] if index == 0 else block
            yield f"messages/{number}/{index}", part, is_user and _carries(block)


def _blocks(content: Any) -> Sequence[Any]:
    """A content as blocks; a string is one block of text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or ()


def _carries(block: Any) -> bool:
    if not isinstance(block, Mapping) or block.get("type") not in _MARKABLE:
        return False
    return block["type"] != "text" or bool(block.get("text"))


def marked(request: Mapping[str, Any], where: str, ttl: CacheTtl) -> dict[str, Any]:
    """The request with a cache marker at a place; nothing else of it changes.

    Args:
        request: a request without markers that has the place.
        where: as `PromptCut.where` has it.
        ttl: how long the entry is to live.
    """
    marker = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
    part, *path = where.split("/")
    if part == "tools":
        tools = list(request["tools"])
        tools[-1] = {**tools[-1], "cache_control": marker}
        return {**request, "tools": tools}
    if part == "system":
        return {**request, "system": _marked_blocks(request["system"], int(path[0]), marker)}
    messages = list(request["messages"])
    number, index = int(path[0]), int(path[1])
    content = _marked_blocks(messages[number]["content"], index, marker)
    messages[number] = {**messages[number], "content": content}
    return {**request, "messages": messages}


def _marked_blocks(content: Any, index: int, marker: Mapping[str, str]) -> list[Any]:
    blocks = list(_blocks(content))
    blocks[index] = {**blocks[index], "cache_control": marker}
    return blocks


def up_to(request: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A request that is counted for the weight of a prefix: the prefix, and a message of one letter where it has none."""
    part, *path = where.split("/")
    short = {name: value for name, value in request.items() if name not in _FREE}
    short["max_tokens"] = _fewest_tokens(request)
    if part == "messages":
        number, index = int(path[0]), int(path[1])
        last = request["messages"][number]
        kept = {**last, "content": list(_blocks(last["content"]))[: index + 1]}
        return {**short, "messages": [*request["messages"][:number], kept]}
    short["messages"] = [{"role": "user", "content": "."}]
    if part == "system":
        short["system"] = list(_blocks(request["system"]))[: int(path[0]) + 1]
    else:
        short.pop("system", None)
    return short


def _fewest_tokens(request: Mapping[str, Any]) -> int:
    """The smallest `max_tokens` that the request may have: above its thinking budget, where it has one."""
    thinking = request.get("thinking") or {}
    return 1 + (thinking.get("budget_tokens") or 0)
