"""Why a request cannot be sent, and where in it: without a word of the payload."""

from collections.abc import Sequence

from schemas.words import printable

#: names that a place may quote; any other name is the author's own text, and the place ends before it
_API_WORDS = frozenset(
    {
        "cache_control",
        "citations",
        "content",
        "data",
        "effort",
        "format",
        "id",
        "inference_geo",
        "input",
        "input_schema",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "name",
        "output_config",
        "properties",
        "role",
        "schema",
        "service_tier",
        "source",
        "speed",
        "stop_sequences",
        "system",
        "text",
        "thinking",
        "tool_choice",
        "tool_use_id",
        "tools",
        "ttl",
        "type",
        "url",
        "user_id",
    }
)


class InvalidPayload(ValueError):  # noqa: N818 - reads as what it is where it is caught
    """A request the API would refuse. Carries the column to look at and a reason, never payload text."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column = printable(column)
        self.reason = printable(reason)


def invalid_at(path: Sequence[str | int], reason: str) -> InvalidPayload:
    """The refusal of what stands at a place of a request.

    Args:
        path: names and positions from the request's parameter down.
        reason: goes on from the place, such as "is not a number".
    """
    shown: list[str] = []
    for part in path:
        if not isinstance(part, int) and part not in _API_WORDS:
            break
        shown.append(str(part))
    if len(shown) < len(path):
        reason = f"has something inside that {reason}"
    if len(shown) > 1:
        reason = f"{'.'.join(shown)} {reason}"
    return InvalidPayload(shown[0] if shown else "params", reason)
