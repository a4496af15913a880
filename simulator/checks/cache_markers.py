"""Checks of cache markers: what one may be, how many there may be, and in which order.

Source: Anthropic docs, "Prompt caching" (2026-08).
"""

from collections.abc import Iterator
from typing import Any

from simulator.billing.counting import blocks_of
from simulator.http.api_errors import invalid

#: most cache markers in one request, the one on the request itself included
MAX_MARKERS = 4


def check_cache_control(value: Any, where: str) -> None:
    """Check a cache marker: absent, null, or `{"type": "ephemeral"[, "ttl": "5m" | "1h"]}`.

    Args:
        value: the value of `cache_control`.
        where: path of the object that holds it.

    Raises:
        RefusedError: 400 for any other value.
    """
    if value is None:
        return
    fits = (
        isinstance(value, dict)
        and set(value) <= {"type", "ttl"}
        and value.get("type") == "ephemeral"
        and value.get("ttl", "5m") in ("5m", "1h")
    )
    if not fits:
        raise invalid(f"{where}.cache_control", "Input should be ephemeral, with a ttl of 5m or 1h")


def check_markers(body: dict[str, Any]) -> None:
    """Check the cache markers of a request together.

    Args:
        body: a request whose parts, and so whose markers, are already checked one by one.

    Raises:
        RefusedError: 400 for more than `MAX_MARKERS`, or one of an hour after one of five minutes.
    """
    ttls = [marker.get("ttl", "5m") for marker in _markers(body)]
    if len(ttls) > MAX_MARKERS:
        raise invalid("cache_control", f"at most {MAX_MARKERS} blocks may have it, found {len(ttls)}")
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        raise invalid("cache_control", "a ttl of 1h must not come after a ttl of 5m")


def _markers(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every marker, in the order in which the parts of a prompt are read."""
    for tool in body.get("tools") or ():
        if tool.get("cache_control"):
            yield tool["cache_control"]
    contents = [body.get("system"), *(message["content"] for message in body["messages"])]
    for content in contents:
        if not isinstance(content, str):
            for block in blocks_of(content):
                if block.get("cache_control"):
                    yield block["cache_control"]
    if body.get("cache_control"):
        yield body["cache_control"]
