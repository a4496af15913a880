"""Requests for a tool of the caller's: which one, and with what input.

Source: Anthropic docs, "Tool use" (2026-08).
"""

from typing import Any

from simulator.answers.schema_examples import example_of
from simulator.billing.counting import client_tool

#: an input of each client tool of Anthropic, by the start of its type
CLIENT_INPUTS: dict[str, dict[str, Any]] = {
    "bash": {"command": "true"},
    "text_editor": {"command": "view", "path": "/simulated"},
    "computer": {"action": "screenshot"},
    "browser": {"action": "screenshot"},
    "memory": {"command": "view", "path": "/memories"},
}


def forced_tool(body: dict[str, Any]) -> dict[str, Any] | None:
    """The tool of the caller's that the answer must ask for.

    Args:
        body: the checked request.

    Returns:
        the one `tool_choice` names, or the first for "any"; None if it forces none or one of the server's.
    """
    choice = body.get("tool_choice")
    if choice is None or choice["type"] not in ("any", "tool"):
        return None
    for tool in body["tools"]:
        if (choice["type"] == "any" or choice["name"] == tool.get("name")) and _is_callers(tool):
            found: dict[str, Any] = tool
            return found
    return None


def tool_use(tool: dict[str, Any], tail: str, *, cut: bool) -> dict[str, Any]:
    """A `tool_use` block.

    Args:
        tool: the tool, as the request gives it.
        tail: end of the block's id.
        cut: whether the output ended within the block.

    Returns:
        the block, with an input that fits the tool's schema, or with the first half of its fields.
    """
    client = _client_kind(tool)
    given = example_of(tool["input_schema"]) if client is None else CLIENT_INPUTS[client]
    if cut and isinstance(given, dict):
        given = dict(list(given.items())[: len(given) // 2])
    return {"type": "tool_use", "id": f"toolu_sim_{tail}", "name": tool["name"], "input": given}


def _client_kind(tool: dict[str, Any]) -> str | None:
    tool_type = tool.get("type") or "custom"
    return "memory" if tool_type.startswith("memory_") else client_tool(tool_type)


def _is_callers(tool: dict[str, Any]) -> bool:
    custom = (tool.get("type") or "custom") == "custom"
    return isinstance(tool.get("name"), str) and (custom or _client_kind(tool) is not None)
