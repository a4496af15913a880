"""An edit of a request: what a person may change of a job that waits, so that it becomes lighter or cheaper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class NoSuchEdit(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """An edit that this request does not take, as a sentence without payload text."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What to change of a request; None and False leave it as it is.

    Attributes:
        whole: another request in its place, before the other changes.
        max_tokens: the new cap on output.
        system: the new system text; empty: none.
        drop_tools: without tools and tool_choice.
        keep_turns: only this many turns, the last ones.
        prune: then only as many of the last turns as fit the job's limits; that takes a scale, which `of` has not.
    """

    whole: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    system: str | None = None
    drop_tools: bool = False
    keep_turns: int | None = None
    prune: bool = False

    def of(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The edited request, not pruned yet.

        Raises:
            NoSuchEdit: the request has fewer turns, or still uses the tools that are to go.
        """
        changed = dict(request if self.whole is None else self.whole)
        if self.max_tokens is not None:
            changed["max_tokens"] = self.max_tokens
        if self.system is not None:
            changed.pop("system", None)
            changed |= {"system": self.system} if self.system else {}
        if self.keep_turns is not None:
            changed["messages"] = last_turns(changed["messages"], self.keep_turns)
        if self.drop_tools:
            if uses_tools(changed["messages"]):
                raise NoSuchEdit("The messages use the tools, so the tools cannot be dropped from them.")
            changed.pop("tools", None)
            changed.pop("tool_choice", None)
        return changed


def turn_starts(messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Where each turn starts: at a message of the user that answers no tool call, so no call loses its result."""
    return [
        index
        for index, message in enumerate(messages)
        if message.get("role") == "user" and not _has(message, "tool_result")
    ]


def last_turns(messages: Sequence[Mapping[str, Any]], number: int) -> list[Mapping[str, Any]]:
    """The last `number` turns of a conversation: it starts with the user, and calls stay with their results.

    Raises:
        NoSuchEdit: there are fewer turns.
    """
    starts = turn_starts(messages)
    if not 1 <= number <= len(starts):
        raise NoSuchEdit(f"The request has {len(starts)} turn(s), so the last {number} cannot be kept.")
    return list(messages[starts[-number] :])


def uses_tools(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a message calls a tool or answers a call."""
    return any(_has(message, "tool_use") or _has(message, "tool_result") for message in messages)


def _has(message: Mapping[str, Any], kind: str) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") == kind for block in content
    )
