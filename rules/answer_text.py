"""The text of an answer."""

import json
from typing import Any


def answer_text(body: str) -> str:
    """The text of an answer's text blocks, one after the other; "" where it has none or cannot be read.

    Args:
        body: the answer as the API gave it, JSON.
    """
    try:
        content: Any = json.loads(body)["content"]
        blocks = [block for block in content if block.get("type") == "text"]
        return "\n".join(str(block.get("text")) for block in blocks)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
