"""The text of an answer, and how it stopped; of an answer that a person accepted although nobody could read it, too."""

import json
from collections.abc import Mapping
from typing import Any


def answer_text(body: str) -> str:
    """The text of an answer's text blocks, one after the other; "" where it has none.

    Args:
        body: the answer as the API gave it, JSON; one that cannot be read, which a person accepted, is its own text.
    """
    blocks = text_blocks(_found(body))
    return body if blocks is None else "\n".join(blocks)


def text_blocks(found: Any) -> list[str] | None:
    """The texts of an answer's text blocks; None when it cannot be read as an answer.

    Args:
        found: an answer, or the line of a batch's results that has it.
    """
    content = message_of(found).get("content")
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        return None
    return [str(block.get("text", "")) for block in content if block.get("type") == "text"]


def stop_reason_of(body: str) -> str | None:
    """Why an answer stopped; None where it does not say so in a readable way."""
    reason = message_of(_found(body)).get("stop_reason")
    return reason if isinstance(reason, str) else None


def message_of(found: Any) -> Mapping[str, Any]:
    """The message in an answer, or in the line of a batch's results that has it; empty where there is none."""
    if not isinstance(found, dict):
        return {}
    result = found.get("result")
    message = result.get("message") if isinstance(result, dict) else found
    return message if isinstance(message, dict) else {}


def _found(body: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
