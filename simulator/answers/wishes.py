"""Wishes that a request may carry in its last user text, for tests that aim: `[[name=value]]`.

- `[[output_tokens=N]]`: the output, thinking included
- `[[thinking_tokens=N]]`: the part of it that is thinking, if the request thinks
- `[[web_searches=N]]`, `[[web_fetches=N]]`, `[[code_executions=N]]`: how often a server tool is used
- `[[refusal=CATEGORY]]`, `[[refusal_before_output=CATEGORY]]`: a refusal; "none" is one without a category
"""

import re
from typing import Any

_WISH = re.compile(r"\[\[([a-z_]{1,30})=([a-z_]{1,30}|\d{1,9})\]\]")


def wishes_of(body: dict[str, Any]) -> dict[str, str]:
    """The wishes of a request.

    Args:
        body: the checked request.

    Returns:
        values by name; of one name the first.
    """
    text = _last_user_text(body)
    if "[[" not in text:
        return {}
    found: dict[str, str] = {}
    for name, value in _WISH.findall(text):
        found.setdefault(name, value)
    return found


def number(wishes: dict[str, str], name: str) -> int | None:
    """The whole number wished for under a name, or None."""
    value = wishes.get(name, "")
    return int(value) if value.isdigit() else None


def _last_user_text(body: dict[str, Any]) -> str:
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, str):
                return content
            return "\n".join(block["text"] for block in content if block["type"] == "text")
    return ""
