"""Tool overhead: what the tool definitions of a request weigh, together and each, by counts of the provider.

Counts are not additive: a request with tools carries a fixed prompt of the model's own (286 to 804 tokens by model;
source: Anthropic tool use page, 2026-10-08), which belongs to no single tool. So each tool weighs what goes when it is
left out, and the rest is named apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

#: a message that weighs next to nothing
_NOTHING = [{"role": "user", "content": "."}]
_ANY = {"type": "any"}
#: a definition that is longer is worth shortening, in tokens
LONG_TOOL = 300
#: fewer kept answers say nothing about whether a tool is ever called
ENOUGH_ANSWERS = 50
#: what a repeated paragraph has at least, in characters
_PARAGRAPH = 80
_FLOOR = "names only"
_TWICE = "twice"


@dataclass(frozen=True, slots=True)
class ToolSet:
    """The tool definitions of some requests.

    Attributes:
        tools: those that the provider counts, in the order of the request.
        left_out: names, or types, of those that it does not count: server tools, and tools that are loaded later.
        forced: the tool that the request forces the model to call, if it does; it cannot be dropped.
        is_forced: whether the model must call a tool, which makes the fixed prompt another one.
    """

    tools: tuple[Mapping[str, Any], ...]
    left_out: tuple[str, ...]
    forced: str | None
    is_forced: bool

    @property
    def key(self) -> str:
        """The same for the same definitions under the same choice."""
        text = orjson.dumps([self.tools, self.left_out, self.is_forced], option=orjson.OPT_SORT_KEYS)
        return sha256(text).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tools, in order."""
        return tuple(str(tool["name"]) for tool in self.tools)


def tool_set(request: Mapping[str, Any]) -> ToolSet | None:
    """The tool set of a request; None: it has no tools."""
    tools = request.get("tools") or ()
    if not tools:
        return None
    counted = tuple(tool for tool in tools if _is_counted(tool))
    left_out = tuple(
        str(tool.get("name") or tool.get("type", "?")) for tool in tools if not _is_counted(tool)
    )
    choice = request.get("tool_choice") or {}
    forced = str(choice["name"]) if choice.get("type") == "tool" else None
    return ToolSet(counted, left_out, forced, is_forced=choice.get("type") in ("any", "tool"))


def _is_counted(tool: Mapping[str, Any]) -> bool:
    return tool.get("type", "custom") == "custom" and not tool.get("defer_loading")


def variants(tools: ToolSet) -> dict[str, dict[str, Any]]:
    """The requests that are counted for a tool set, by name: with all, with none, with all but each, and names only.

    A set of one tool is counted with that tool under two names as well: what the second one adds is the tool's own.
    """
    requests = {
        "none": _request((), is_forced=False),
        "all": _request(tools.tools, is_forced=tools.is_forced),
    }
    if len(tools.tools) == 1:
        [only] = tools.tools
        twin = {**only, "name": f"{only['name'][:60]}_2"}
        requests[_TWICE] = _request((only, twin), is_forced=tools.is_forced)
    else:
        for name in tools.names:
            rest = tuple(tool for tool in tools.tools if tool["name"] != name)
            requests[f"without {name}"] = _request(rest, is_forced=tools.is_forced)
    bare = tuple({"name": tool["name"], "input_schema": {"type": "object"}} for tool in tools.tools)
    requests[_FLOOR] = _request(bare, is_forced=tools.is_forced)
    return requests


def _request(tools: Sequence[Mapping[str, Any]], *, is_forced: bool) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": _NOTHING, "max_tokens": 1}
    if tools:
        # a marker of the caller's would be counted as the same tokens, and four are the most
        request["tools"] = [{k: v for k, v in tool.items() if k != "cache_control"} for tool in tools]
        if is_forced:
            request["tool_choice"] = _ANY
    return request


@dataclass(frozen=True, slots=True)
class ToolWeights:
    """What a tool set weighs, in tokens.

    Attributes:
        fixed: what belongs to no single tool.
        names_only: with nothing but the names of the tools.
        by_name: what goes when that tool alone is left out.
    """

    with_all: int
    with_none: int
    fixed: int
    names_only: int
    by_name: Mapping[str, int]


def tool_weights(tools: ToolSet, counted: Mapping[str, int]) -> ToolWeights:
    """The weights of a tool set.

    Args:
        tools: the set.
        counted: input tokens of each of its `variants`.
    """
    whole, none = counted["all"], counted["none"]
    if len(tools.tools) == 1:
        by_name = {tools.names[0]: max(0, counted[_TWICE] - whole)}
    else:
        by_name = {name: max(0, whole - counted[f"without {name}"]) for name in tools.names}
    return ToolWeights(
        with_all=whole,
        with_none=none,
        fixed=max(0, whole - none - sum(by_name.values())),
        names_only=counted[_FLOOR],
        by_name=by_name,
    )


def repeated_bytes(tools: ToolSet) -> int:
    """Bytes of paragraphs that stand in more than one description, beyond the first time each."""
    seen: set[str] = set()
    again = 0
    for text in _texts(list(tools.tools)):
        for paragraph in text.split("\n\n"):
            stripped = paragraph.strip()
            if len(stripped) < _PARAGRAPH:
                continue
            if stripped in seen:
                again += len(stripped.encode())
            seen.add(stripped)
    return again


def _texts(value: Any) -> list[str]:
    """Every description in some definitions."""
    found: list[str] = []
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "description" and isinstance(item, str):
                found.append(item)
            else:
                found += _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            found += _texts(item)
    return found


def tool_advice(name: str, tokens: int, seen: tuple[int, int], tools: ToolSet) -> str | None:
    """What to do about a tool: "drop", "shorten", or None.

    Args:
        name: the tool.
        tokens: its own weight.
        seen: how often it was called, and in how many kept answers of jobs with tools.
        tools: its set.
    """
    calls, answers = seen
    if calls == 0 and answers >= ENOUGH_ANSWERS and name != tools.forced:
        return "drop"
    return "shorten" if tokens >= LONG_TOOL else None
