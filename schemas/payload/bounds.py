"""Bounds: the most input a payload can be billed where the provider does not count all of it.

The parts and their bounds are data (api_rules.toml). A part without one leaves the payload without one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.model_facts import ModelFacts
from schemas.payload.api_rules import RULES, ModelLimits, PartBound, limits_of
from schemas.payload.traits import Traits, Uncounted

UNCOUNTABLE_SOURCES = ("url", "file")
_BLOCK_BOUNDS = {(one.block, source): one for one in RULES.bounds for source in one.sources}
_TOOL_BOUNDS = {one.tool: one for one in RULES.bounds if one.tool}
#: a figure beyond it bounds nothing that anybody would pay for
_MOST_CALLS = 1_000_000
_KIND = re.compile(r"[a-z0-9_]{1,60}")
#: stands where a part was taken out: never less than nothing, and no content is left empty
_IN_ITS_PLACE = {"type": "text", "text": "-"}


def input_bound(traits: Traits, counted: int, facts: ModelFacts) -> int | None:
    """The most input tokens that a payload can be billed under a model, over all of its sampling calls.

    Args:
        counted: input tokens of its `bound_body` under the model, counted by the provider.
        facts: what the provider says of the model.

    Returns:
        Tokens, or None when nothing bounds them.
    """
    limits, uncounted = limits_of(facts), traits.uncounted
    calls = uncounted.sampling_calls
    if calls is None:
        return None
    one_call: int | None = counted
    if uncounted.documents or calls > 1:
        one_call = limits.context_window
    elif uncounted.images:
        one_call = _with_images(counted, uncounted.images, limits)
    elif uncounted.parts:
        one_call = None
    return None if one_call is None else max(one_call, counted) * calls


def _with_images(counted: int, images: int, limits: ModelLimits) -> int | None:
    """The count and that many images more; never more than the context window, which bounds an image too."""
    window = limits.context_window
    image = limits.image_tokens or window
    if image is None:
        return None
    whole = counted + images * image
    return whole if window is None else min(whole, window)


def is_server_tool(tool: Mapping[str, Any]) -> bool:
    """Whether a tool runs at the provider, so that what it brings cannot be counted beforehand."""
    return not str(tool.get("type") or "custom").startswith(RULES.tools.client)


def is_remote(block: Mapping[str, Any]) -> bool:
    """Whether a block's content is fetched by the provider."""
    source = block.get("source")
    return isinstance(source, dict) and source.get("type") in UNCOUNTABLE_SOURCES


def uncounted_of(request: Mapping[str, Any], blocks: Iterable[Mapping[str, Any]]) -> Uncounted:
    """What the provider does not count in a checked request.

    Args:
        request: Messages parameters without a model.
        blocks: those of its content blocks that have a source.
    """
    tools = [tool for tool in request.get("tools") or () if is_server_tool(tool)]
    remote = [block for block in blocks if is_remote(block)]
    parts = [f"server tool {_word(tool['type'])}" for tool in tools]
    parts += [f"{_word(block.get('type'))} block with a {block['source']['type']} source" for block in remote]
    parts += ["MCP server"] * len(request.get("mcp_servers") or ())
    if not parts:
        return Uncounted()
    bounds = [_BLOCK_BOUNDS.get((str(block.get("type")), block["source"]["type"])) for block in remote]
    calls, searches = _calls(tools)
    if None in bounds or request.get("mcp_servers"):
        calls = None
    return Uncounted(
        tuple(dict.fromkeys(parts)),
        images=sum(bound is not None and bound.at_most == "image_tokens" for bound in bounds),
        documents=sum(bound is not None and bound.at_most == "context_window" for bound in bounds),
        sampling_calls=calls,
        web_searches=searches if calls is not None else 0,
    )


def _word(kind: object) -> str:
    """A type as it may be shown: anything that does not look like one could be text of the payload."""
    return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "of unknown type"


def _calls(tools: Iterable[Mapping[str, Any]]) -> tuple[int | None, int]:
    """How often the model samples at most with these server tools, and how often it searches the web."""
    calls, searches = 1, 0
    for tool in tools:
        bound = _TOOL_BOUNDS.get(str(tool.get("type")))
        if bound is None or not _has_all(tool, bound):
            return None, 0
        calls += tool["max_uses"]
        searches += tool["max_uses"] if bound.searches else 0
    return (calls, searches) if calls <= _MOST_CALLS else (None, 0)


def _has_all(tool: Mapping[str, Any], bound: PartBound) -> bool:
    return all(type(tool.get(name)) is int and tool[name] >= 1 for name in bound.needs)


def without_uncounted(request: Mapping[str, Any]) -> dict[str, Any]:
    """A checked request less what the provider does not count in it."""
    rest = {name: value for name, value in request.items() if name != "mcp_servers"}
    rest["messages"] = [
        {**message, "content": _counted_content(message["content"])} for message in request["messages"]
    ]
    if "system" in request:
        rest["system"] = _counted_content(request["system"])
    tools = request.get("tools") or []
    kept = [tool for tool in tools if not is_server_tool(tool)]
    if len(kept) < len(tools):
        rest["tools"] = kept
        named = (rest.get("tool_choice") or {}).get("name")
        if not kept or (named is not None and named not in {tool.get("name") for tool in kept}):
            rest.pop("tool_choice", None)
        if not kept:
            del rest["tools"]
    return rest


def _counted_content(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [_counted_block(block) if isinstance(block, dict) else block for block in content]


def _counted_block(block: dict[str, Any]) -> dict[str, Any]:
    if is_remote(block):
        return _IN_ITS_PLACE
    changed = dict(block)
    if "content" in block:
        changed["content"] = _counted_content(block["content"])
    source = block.get("source")
    if isinstance(source, dict) and "content" in source:
        changed["source"] = {**source, "content": _counted_content(source["content"])}
    return changed
