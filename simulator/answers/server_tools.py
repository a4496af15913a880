"""Tools that run at the API: how often a message uses them and what that adds to its input.

Each use ends one sampling call and starts the next, which reads all that came before and what the use
brought; every one of them bills its input. How often and how much follow from the request alone.

Source: Anthropic docs, "Web search tool", "Web fetch tool", "Code execution tool" (2026-08 to 2026-10). The
numbers of tokens are made up; that the loop stops at `MAX_CALLS` with "pause_turn" is the documented
default of Messages, and assumed of batches.
"""

from dataclasses import dataclass
from typing import Any

from simulator.answers.wishes import number
from simulator.billing.billed_usage import ServerUse

#: uses of server tools in one message; more end it with "pause_turn"
MAX_CALLS = 10


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of server tool: its type's start, the wish, the most uses unasked, what one use brings."""

    name: str
    wish: str
    most: int
    tokens: tuple[int, int]


_KINDS = (
    _Kind("web_search", "web_searches", 3, (1_500, 4_000)),
    _Kind("web_fetch", "web_fetches", 2, (500, 3_000)),
    _Kind("code_execution", "code_executions", 2, (50, 250)),
)


@dataclass(frozen=True, slots=True)
class ServerWork:
    """What the server tools of one message did.

    Attributes:
        use: how often each was used.
        later_input: input tokens of all sampling calls after the first.
        context: input tokens of the last sampling call.
        paused: whether it was stopped before it was done.
    """

    use: ServerUse
    later_input: int
    context: int
    paused: bool


def kind_of(tool: dict[str, Any]) -> str | None:
    """The name of a server tool's kind, None for any other tool."""
    tool_type = tool.get("type") or "custom"
    return next((kind.name for kind in _KINDS if tool_type.startswith(f"{kind.name}_")), None)


def server_work(
    body: dict[str, Any], wishes: dict[str, str], digest: str, first_input: int, window: int
) -> ServerWork | None:
    """What the server tools of a request do.

    Args:
        body: the checked request.
        wishes: what it asks for.
        digest: its `payload_hash`, which decides what is not asked for.
        first_input: input tokens of the first sampling call.
        window: the model's context window, tokens; no use is made that would not fit.

    Returns:
        the work; None if the request has no server tool.
    """
    given = {kind_of(tool): tool for tool in body.get("tools") or ()}
    if not given or set(given) == {None}:
        return None
    uses = {
        kind.name: _uses(kind, given[kind.name], body.get("tool_choice"), wishes, digest)
        for kind in _KINDS
        if kind.name in given
    }
    paused = sum(uses.values()) > MAX_CALLS
    made = dict.fromkeys((kind.name for kind in _KINDS), 0)
    context, later = first_input, 0
    for kind in _KINDS:
        for _ in range(uses.get(kind.name, 0)):
            call = sum(made.values())
            brought = _brought(kind, given[kind.name], digest, call)
            if call == MAX_CALLS or context + brought > window:
                break
            made[kind.name] += 1
            context += brought
            later += context
    return ServerWork(ServerUse(*made.values()), later, context, paused)


def _uses(kind: _Kind, tool: dict[str, Any], choice: Any, wishes: dict[str, str], digest: str) -> int:
    """How often a tool wants to be used, up to its `max_uses`."""
    how = (choice or {}).get("type", "auto")
    if how == "none":
        return 0
    wanted = number(wishes, kind.wish)
    if wanted is None:
        wanted = int(digest[32:40], 16) % (kind.most + 1)
        if how == "tool" and choice.get("name") == tool.get("name"):
            wanted = max(1, wanted)
    limit = tool.get("max_uses")
    return wanted if limit is None else min(wanted, limit)


def _brought(kind: _Kind, tool: dict[str, Any], digest: str, call: int) -> int:
    """Tokens that one use adds to the context."""
    least, most = kind.tokens
    tokens = least + int(digest[40:48], 16) * (call + 1) % (most - least + 1)
    limit = tool.get("max_content_tokens")
    return tokens if limit is None else min(tokens, limit)
