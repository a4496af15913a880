"""The text of an answer, and how it stopped; of an answer that a person accepted although nobody could read it, too."""

import json
from collections.abc import Mapping
from typing import Any

import orjson


def answer_text(body: str) -> str:
    """The text of an answer for people: its text blocks, each on a line of its own; "" where it has none.

    Args:
        body: the answer as the API gave it, JSON; one that cannot be read, which a person accepted, is its own text.
    """
    blocks = text_blocks(_found(body))
    return body if blocks is None else "\n".join(blocks)


def result_text(body: str) -> str:
    """The text of an answer in the result files: its text blocks run on, as the model wrote them.

    Args:
        body: as for `answer_text`; a lone surrogate in it, which no Parquet text holds, becomes "?".
    """
    blocks = text_blocks(_found(body))
    text = body if blocks is None else "".join(blocks)
    return text if text.isascii() else text.encode(errors="replace").decode()


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
    body = body.removeprefix("\ufeff")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # it refuses a lone surrogate in an escape, which JSON allows
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
