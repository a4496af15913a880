"""Tool uses and their results: each answers the other, one turn after the next.

Messages of one role in a row are one turn, as the API joins them.

Source: Anthropic docs, "Handle tool calls" (2026-08).
"""

import re
from itertools import groupby
from typing import Any

from simulator.http.api_errors import invalid

_TOOL_USE_ID = re.compile(r"[a-zA-Z0-9_-]+")

_Blocks = list[tuple[str, dict[str, Any]]]


def check_tool_turns(messages: list[dict[str, Any]]) -> None:
    """Check that the tool uses of a turn are answered by the next one, at its start, and nothing else is.

    Args:
        messages: Messages whose blocks are already checked one by one.

    Raises:
        RefusedError: 400, naming the message at fault.
    """
    if all(isinstance(message["content"], str) for message in messages):
        return
    asked: dict[str, str] = {}
    known: set[str] = set()
    places = enumerate(messages)
    for role, turn in groupby(places, key=lambda place: place[1]["role"]):
        blocks = [found for position, message in turn for found in _blocks(message, f"messages.{position}")]
        if role == "assistant":
            asked = _asked(blocks, known)
        else:
            _check_answers(blocks, asked)
            asked = {}
    _check_none_left(asked)


def _blocks(message: dict[str, Any], where: str) -> _Blocks:
    """The blocks of a message, each with the message's path; a string is one of text."""
    content = message["content"]
    if isinstance(content, str):
        return [(where, {"type": "text"})]
    return [(where, block) for block in content]


def _asked(blocks: _Blocks, known: set[str]) -> dict[str, str]:
    """The tool uses of a turn, id and path; their ids are added to those known."""
    asked: dict[str, str] = {}
    for where, block in blocks:
        if block["type"] != "tool_use":
            continue
        if not _TOOL_USE_ID.fullmatch(block["id"]):
            raise invalid(f"{where}.tool_use.id", "String should match pattern '^[a-zA-Z0-9_-]+$'")
        if block["id"] in known:
            raise invalid(where, "`tool_use` ids must be unique")
        known.add(block["id"])
        asked[block["id"]] = where
    return asked


def _check_answers(blocks: _Blocks, asked: dict[str, str]) -> None:
    """Check the turn that follows the tool uses."""
    left = dict(asked)
    talking = False
    for where, block in blocks:
        if block["type"] != "tool_result":
            talking = True
        elif talking:
            raise invalid(where, "`tool_result` blocks must come before all others")
        elif left.pop(block["tool_use_id"], None) is None:
            raise invalid(where, "`tool_result` block without its `tool_use` block in the turn before")
    _check_none_left(left)


def _check_none_left(left: dict[str, str]) -> None:
    for where in left.values():
        raise invalid(where, "`tool_use` block without its `tool_result` block in the next turn")
