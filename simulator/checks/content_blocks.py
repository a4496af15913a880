"""Checks of messages and their content blocks, as the API makes them.

Every problem is named by its place in the request, never by its text. Not checked: the inside of
server-tool result blocks.

Source: Anthropic docs, "Messages", "Migration to API version 2026-10-21", "Token counting" (2026-09).
"""

from typing import Any

from simulator.checks.cache_markers import check_cache_control
from simulator.checks.media_sources import check_media
from simulator.checks.tool_turns import check_tool_turns
from simulator.http.api_errors import invalid

ROLES = ("user", "assistant")

#: known block types and the fields each must have, with their JSON types
REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "text": {"text": str},
    "image": {"source": dict},
    "document": {"source": dict},
    "search_result": {"source": str, "title": str, "content": list},
    "thinking": {"thinking": str, "signature": str},
    "redacted_thinking": {"data": str},
    "tool_use": {"id": str, "name": str, "input": dict},
    "tool_result": {"tool_use_id": str},
    "server_tool_use": {"id": str, "name": str, "input": dict},
    "container_upload": {"file_id": str},
    "mcp_tool_use": {"id": str, "name": str, "input": dict},
    "mcp_tool_result": {"tool_use_id": str},
    "web_search_tool_result": {"tool_use_id": str},
    "web_fetch_tool_result": {"tool_use_id": str},
    "code_execution_tool_result": {"tool_use_id": str},
    "bash_code_execution_tool_result": {"tool_use_id": str},
    "text_editor_code_execution_tool_result": {"tool_use_id": str},
    "tool_search_tool_result": {"tool_use_id": str},
    "tool_reference": {"tool_name": str},
}

#: blocks that may stand directly in messages of one role only
ONLY_FROM: dict[str, str] = {
    "tool_result": "user",
    "image": "user",
    "document": "user",
    "search_result": "user",
    "tool_use": "assistant",
    "thinking": "assistant",
    "redacted_thinking": "assistant",
}

#: Source types of images and documents, with the text fields each must have
SOURCES: dict[str, dict[str, tuple[str, ...]]] = {
    "image": {"base64": ("media_type", "data"), "url": ("url",), "file": ("file_id",)},
    "document": {
        "base64": ("media_type", "data"),
        "text": ("media_type", "data"),
        "url": ("url",),
        "file": ("file_id",),
        "content": (),
    },
}

#: sources that Messages takes and count_tokens refuses
UNCOUNTABLE_SOURCES = frozenset({"url", "file"})


def check_messages(messages: Any, *, prefill: bool) -> None:
    """Check the `messages` field.

    Args:
        messages: the value of the field.
        prefill: whether the model lets a request end with an assistant message.

    Raises:
        RefusedError: 400, naming the first problem.
    """
    if not isinstance(messages, list):
        raise invalid("messages", "Input should be a valid list")
    if not messages:
        raise invalid("messages", "at least one message is required")
    for position, message in enumerate(messages):
        _check_message(message, f"messages.{position}")
    check_tool_turns(messages)
    if messages[0]["role"] != "user":
        raise invalid("messages", 'first message must use the "user" role')
    if messages[-1]["role"] == "assistant" and not prefill:
        raise invalid(
            "messages",
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message.",
        )


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise invalid(where, "Input should be a valid dictionary")
    if any(name not in ("role", "content") for name in message):
        raise invalid(where, "Extra inputs are not permitted")
    if message.get("role") not in ROLES:
        raise invalid(f"{where}.role", "Input should be 'user' or 'assistant'")
    if "content" not in message:
        raise invalid(f"{where}.content", "Field required")
    content = message["content"]
    if not content and isinstance(content, list):
        raise invalid(where, "messages must have non-empty content")
    if isinstance(content, str) and not content.strip():
        raise invalid(where, "messages must have non-empty content")
    check_content(content, f"{where}.content", message["role"])


def check_content(content: Any, where: str, role: str | None) -> None:
    """Check a string or a list of content blocks.

    Args:
        content: the value.
        where: its path, for the message.
        role: the role of the message it stands directly in; None inside another block.

    Raises:
        RefusedError: 400, naming the first problem.
    """
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise invalid(where, "Input should be a valid string or list")
    for position, block in enumerate(content):
        _check_block(block, f"{where}.{position}", role)


def _check_block(block: Any, where: str, role: str | None) -> None:
    if not isinstance(block, dict):
        raise invalid(where, "Input should be a valid dictionary")
    kind = block.get("type")
    fields = REQUIRED.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise invalid(f"{where}.type", "Input tag does not match any of the expected tags")
    for name, expected in fields.items():
        if name not in block:
            raise invalid(f"{where}.{kind}.{name}", "Field required")
        if not isinstance(block[name], expected):
            raise invalid(f"{where}.{kind}.{name}", "Input has the wrong type")
    if role is not None and ONLY_FROM.get(str(kind), role) != role:
        raise invalid(where, f"`{kind}` blocks are not permitted in {role} messages")
    _check_inside(block, where, role)


def _check_inside(block: dict[str, Any], where: str, role: str | None) -> None:
    """The rules that need more than a field's type."""
    kind = block["type"]
    check_cache_control(block.get("cache_control"), where)
    if kind == "text":
        if not block["text"].strip():
            raise invalid(where, "text content blocks must contain non-whitespace text")
        if block.get("citations") and role != "assistant":
            raise invalid(f"{where}.citations", "citations are not permitted in user messages")
    elif kind in SOURCES:
        _check_source(block["source"], SOURCES[kind], f"{where}.{kind}.source")
        check_media(kind, block["source"], f"{where}.{kind}.source")
    elif kind in ("thinking", "redacted_thinking") and block.get("cache_control") is not None:
        raise invalid(f"{where}.{kind}.cache_control", "Extra inputs are not permitted")
    elif kind == "search_result" or (kind == "tool_result" and block.get("content") is not None):
        check_content(block["content"], f"{where}.{kind}.content", None)


def _check_source(source: dict[str, Any], known: dict[str, tuple[str, ...]], where: str) -> None:
    kind = source.get("type")
    fields = known.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise invalid(f"{where}.type", "Input tag does not match any of the expected tags")
    for name in fields:
        if not isinstance(source.get(name), str):
            raise invalid(f"{where}.{kind}.{name}", "Input should be a valid string")
    if kind == "content":
        check_content(source.get("content"), f"{where}.content.content", None)
