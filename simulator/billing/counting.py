"""How many input tokens a request body is: one fixed rule, the same for the same body every time.

The rule, in tokens of the newest tokenizer:

- Text is four UTF-8 bytes a token. All text of a request is added up first, then multiplied by the
  model's tokenizer factor and rounded up once.
- Text is: system and message text, thinking, the query-like fields of a tool use (name and JSON of its
  input), tool results, search results, the JSON of each custom tool and of an output schema, and the JSON
  of any other block. `cache_control` is never counted.
- A request costs 3 tokens and each message 3 more. With these, "Hello, Claude" under the system prompt
  "You are a scientist" is 14 tokens, as in Anthropic's own example (docs, "Token counting").
- Tools add the model's overhead once, by `tool_choice`; Anthropic's client tools (bash, text editor,
  computer, browser) a fixed number each (docs, "Pricing", 2026-10-10).
- An image is 1,500 tokens. A PDF is a token for every 50 decoded bytes and at least 2,000. These, like
  every fixed number, are not multiplied by the tokenizer factor.
- Thinking blocks of earlier turns count only on models that keep them (docs, "Token counting").
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from simulator.billing.catalogue import NEW_TOKENIZER, Model

BYTES_PER_TOKEN = 4
REQUEST_TOKENS = 3
MESSAGE_TOKENS = 3
IMAGE_TOKENS = 1_500
PDF_BYTES_PER_TOKEN = 50
PDF_MIN_TOKENS = 2_000

#: tokens of Anthropic's client tools by the start of their type: (new tokenizer, old tokenizer)
CLIENT_TOOL_TOKENS: dict[str, tuple[int, int]] = {
    "bash": (325, 244),
    "text_editor": (974, 745),
    "computer": (4_500, 4_500),
    "browser": (6_600, 6_600),
}

_FORCED_CHOICES = frozenset({"any", "tool"})
THINKING_BLOCKS = frozenset({"thinking", "redacted_thinking"})


def count_tokens(body: dict[str, Any], model: Model) -> int:
    """The input tokens of a checked request body under one model.

    Args:
        body: a request body that passed the checks; `max_tokens` and the like change nothing.
        model: the model whose tokenizer and overheads apply.

    Returns:
        input tokens, at least 1.
    """
    total = TokenSum()
    system = body.get("system")
    if system is not None:
        _add_content(system, total)
    messages = body["messages"]
    turn_start = kept_thinking_from(messages, model)
    for position, message in enumerate(messages):
        _add_content(message["content"], total, keep_thinking=position >= turn_start)
    tools = body.get("tools")
    if tools:
        total.fixed += tool_overhead(body, model)
        for tool in tools:
            total.add_tool(tool, model)
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    if schema is not None:
        total.text_bytes += len(orjson.dumps(schema))
    return total.tokens(model, len(messages))


class TokenSum:
    """What has been added up so far: bytes of text, and tokens that are the same under any tokenizer."""

    __slots__ = ("fixed", "text_bytes")

    def __init__(self) -> None:
        self.text_bytes = 0
        self.fixed = 0

    def add_text(self, text: str) -> None:
        """Add text."""
        self.text_bytes += len(text) if text.isascii() else len(text.encode())

    def add_tool(self, tool: dict[str, Any], model: Model) -> None:
        """Add a tool's definition; the overhead of having tools at all is not in it."""
        fixed = CLIENT_TOOL_TOKENS.get(client_tool(tool.get("type")) or "")
        if fixed is None:
            self.text_bytes += len(orjson.dumps(plain(tool)))
        else:
            self.fixed += fixed[0 if model.tokenizer == NEW_TOKENIZER else 1]

    def add_block(self, block: dict[str, Any]) -> None:
        """Add a content block."""
        _add_block(block, self)

    def tokens(self, model: Model, messages: int) -> int:
        """The tokens of a request, or of the start of one, that holds what was added.

        Args:
            model: the model whose tokenizer applies.
            messages: how many messages it has.
        """
        top, bottom = model.tokenizer
        text_tokens = -(-self.text_bytes * top // (BYTES_PER_TOKEN * bottom))
        return text_tokens + self.fixed + REQUEST_TOKENS + MESSAGE_TOKENS * messages


def kept_thinking_from(messages: list[dict[str, Any]], model: Model) -> int:
    """Position of the first message whose thinking stays in the context of a model.

    On models that do not keep the thinking of earlier turns that is the last user message that is more than tool
    results: the current turn starts there.
    """
    if model.keeps_thinking:
        return 0
    for position in range(len(messages) - 1, -1, -1):
        message = messages[position]
        if message["role"] != "user":
            continue
        content = message["content"]
        if isinstance(content, str) or any(block["type"] != "tool_result" for block in content):
            return position
    return 0


def _add_content(content: Any, total: TokenSum, *, keep_thinking: bool = True) -> None:
    """Add a string or a list of content blocks."""
    if isinstance(content, str):
        total.add_text(content)
        return
    for block in content:
        if keep_thinking or block["type"] not in THINKING_BLOCKS:
            _add_block(block, total)


def _add_block(block: dict[str, Any], total: TokenSum) -> None:
    kind = block["type"]
    if kind == "text":
        total.add_text(block["text"])
    elif kind == "image":
        total.fixed += IMAGE_TOKENS
    elif kind == "document":
        _add_document(block, total)
    elif kind == "tool_use":
        total.add_text(block["name"])
        total.text_bytes += len(orjson.dumps(block["input"]))
    elif kind == "tool_result":
        _add_content(block.get("content") or "", total)
    elif kind == "thinking":
        total.add_text(block["thinking"])
    elif kind == "redacted_thinking":
        total.add_text(block["data"])
    elif kind == "search_result":
        total.add_text(block["title"])
        total.add_text(block["source"])
        _add_content(block["content"], total)
    else:
        total.text_bytes += len(orjson.dumps(plain(block)))


def _add_document(block: dict[str, Any], total: TokenSum) -> None:
    """Add a document by its source: plain text and content blocks as text, anything else as a PDF."""
    for field in ("title", "context"):
        if isinstance(block.get(field), str):
            total.add_text(block[field])
    source = block["source"]
    if source["type"] == "text":
        total.add_text(source["data"])
    elif source["type"] == "content":
        _add_content(source["content"], total)
    else:
        decoded_bytes = len(source.get("data", "")) * 3 // 4
        total.fixed += max(PDF_MIN_TOKENS, -(-decoded_bytes // PDF_BYTES_PER_TOKEN))


def tool_overhead(body: dict[str, Any], model: Model) -> int:
    """The tokens that a request has for having tools, by its `tool_choice`."""
    choice = (body.get("tool_choice") or {}).get("type", "auto")
    ordinary, forced = model.tool_overhead
    return forced if choice in _FORCED_CHOICES and forced is not None else ordinary


def client_tool(tool_type: str | None) -> str | None:
    """The key of `CLIENT_TOOL_TOKENS` that a tool's `type` begins with, or None."""
    return next((name for name in CLIENT_TOOL_TOKENS if tool_type and tool_type.startswith(f"{name}_")), None)


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """The object without its cache marker, which is not counted."""
    return {key: item for key, item in value.items() if key != "cache_control"}


def blocks_of(content: Any) -> Iterator[dict[str, Any]]:
    """All content blocks below a `system` or `content` value, those inside other blocks included.

    Args:
        content: a string (which holds no blocks) or a list of blocks.

    Yields:
        each block, outer ones first.
    """
    items: Iterable[Any] = content if isinstance(content, list) else ()
    for block in items:
        if isinstance(block, dict):
            yield block
            yield from blocks_of(block.get("content"))
            if isinstance(block.get("source"), dict):
                yield from blocks_of(block["source"].get("content"))
