"""A payload as people read it: who says what, pictures, tools. Only reading; the templates escape every text."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: shown as pictures; never SVG, which is a document with scripts
SHOWN_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
#: how much of a text is shown before the rest is folded, characters
_AT_ONCE = 20_000
#: how deep blocks may lie in blocks before they are shown as JSON
_DEPTH = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One block.

    Attributes:
        kind: text, picture, fold (a text under a heading), group (parts under a heading) or note (a placeholder).
        text: what it says; for a picture the mark that its address names.
        heading: what it is, where its kind does not say.
        rest: what is left of a long text.
        parts: the blocks within it.
    """

    kind: str
    text: str = ""
    heading: str = ""
    rest: str = ""
    parts: tuple["Part", ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says: system, user or assistant."""

    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A payload, ready to be shown.

    Attributes:
        turns: system text and messages, in order.
        tools: each tool's definition.
        settings: the other parameters, each with its value as JSON.
        unread: the payload as it is, when it is not readable as a conversation.
    """

    turns: tuple[Turn, ...] = ()
    tools: tuple[Part, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    unread: str = ""


def conversation(payload: str) -> Conversation:
    """What a stored payload says.

    Args:
        payload: a job's canonical JSON.
    """
    try:
        request = json.loads(payload)
        turns = [Turn(str(message["role"]), _parts(message["content"])) for message in request["messages"]]
        if request.get("system"):
            turns.insert(0, Turn("system", _parts(request["system"])))
        tools = tuple(_tool(tool) for tool in request.get("tools") or ())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Conversation(unread=payload)
    shown = ("messages", "system", "tools")
    settings = {name: _json(value) for name, value in request.items() if name not in shown}
    return Conversation(tuple(turns), tools, settings)


def _parts(content: Any, depth: int = 0) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (_text(content),)
    if not isinstance(content, list) or depth > _DEPTH:
        return (Part("fold", _json(content), "content"),)
    return tuple(_part(block, depth) for block in content)


def _part(block: Any, depth: int) -> Part:
    kind = block.get("type") if isinstance(block, dict) else None
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    part = reader(block, depth) if reader else None
    return part or Part("fold", _json(block), f"block of type {kind}")


def _text(text: str) -> Part:
    return Part("text", text[:_AT_ONCE], rest=text[_AT_ONCE:])


def _text_block(block: dict[str, Any], _depth: int) -> Part | None:
    text = block.get("text")
    return _text(text) if isinstance(text, str) else None


def _image(block: dict[str, Any], _depth: int) -> Part | None:
    source = block.get("source")
    if not isinstance(source, dict) or source.get("type") != "base64":
        return None
    media, data = source.get("media_type"), source.get("data")
    if not isinstance(data, str):
        return None
    if media not in SHOWN_IMAGES or not _BASE64.fullmatch(data):
        return Part("note", f"image of type {str(media)[:60]}, {_size(data)}, not shown")
    return Part("picture", picture_mark(data), f"{media}, {_size(data)}")


def _document(block: dict[str, Any], depth: int) -> Part | None:
    source = block.get("source")
    if not isinstance(source, dict):
        return None
    title = f"document {str(block.get('title') or '')[:200]}".strip()
    data = source.get("data")
    if source.get("type") == "base64" and isinstance(data, str):
        return Part("note", f"{title}: {str(source.get('media_type'))[:60]}, {_size(data)}, not shown")
    if source.get("type") == "text" and isinstance(data, str):
        return Part("fold", data, f"{title} ({len(data):,} characters)")
    if source.get("type") == "content":
        return Part("group", heading=title, parts=_parts(source.get("content"), depth + 1))
    return None


def _thinking(block: dict[str, Any], _depth: int) -> Part | None:
    text = block.get("thinking")
    return Part("fold", text, f"thinking ({len(text):,} characters)") if isinstance(text, str) else None


def _redacted(block: dict[str, Any], _depth: int) -> Part:
    return Part("note", f"redacted thinking, {len(str(block.get('data', ''))):,} characters")


def _tool_use(block: dict[str, Any], _depth: int) -> Part:
    return Part("fold", _json(block.get("input")), f"calls the tool {str(block.get('name'))[:200]}")


def _tool_result(block: dict[str, Any], depth: int) -> Part:
    failed = " (an error)" if block.get("is_error") else ""
    parts = _parts(block["content"], depth + 1) if block.get("content") else ()
    return Part("group", heading=f"the tool's result{failed}", parts=parts)


def picture_mark(data: str) -> str:
    """What the address of a picture names it by."""
    return hashlib.sha256(data.encode("utf-8", "replace")).hexdigest()[:32]


_READERS = {
    "text": _text_block,
    "image": _image,
    "document": _document,
    "thinking": _thinking,
    "redacted_thinking": _redacted,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
}


def _tool(tool: dict[str, Any]) -> Part:
    name = str(tool.get("name") or tool.get("type"))[:200]
    described = str(tool.get("description") or "").strip().split("\n", maxsplit=1)[0][:200]
    return Part("fold", _json(tool), f"{name}: {described}" if described else name)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return str(value)[:_AT_ONCE]


def _size(data: str) -> str:
    """The size of what base64 text stands for."""
    size = len(data) * 3 // 4
    return f"{size:,} bytes" if size < 10_000 else f"{size / 1_000:,.0f} KB"
