"""The lines of a batch's results, taken apart: a line ends at its line feed and nowhere else, and keeps its bytes."""

import json
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import orjson

from schemas.batch import ResultLine

_CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"([A-Za-z0-9_-]{1,64})"')
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


async def result_lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[ResultLine]:
    """The lines of a stream of bytes, empty ones left out.

    U+2028 and the like may stand in a JSON text, so only a line feed ends a line.
    """
    pending = bytearray()
    async for chunk in chunks:
        searched = len(pending)
        pending += chunk
        if pending.find(b"\n", searched) < 0:
            continue
        *whole, rest = pending.split(b"\n")
        pending = rest
        for line in whole:
            if line.strip():
                yield result_line(bytes(line))
    if pending.strip():
        yield result_line(bytes(pending))


def result_line(raw: bytes) -> ResultLine:
    """One line; what cannot be read in it stays in `raw`."""
    found = json_or_none(raw)
    custom_id = found.get("custom_id") if isinstance(found, dict) else None
    if custom_id is None and (seen := _CUSTOM_ID.search(raw)):
        custom_id = seen[1].decode()
    return ResultLine(
        raw=kept_text(raw),
        found=found,
        custom_id=custom_id if isinstance(custom_id, str) else None,
    )


def kept_text(raw: bytes) -> str:
    """What came as a text that every database stores; bytes that are no text stand in it as escapes."""
    return raw.decode(errors="backslashreplace").replace("\0", "\\x00")


def json_or_none(raw: bytes) -> Any:
    """The JSON value of some bytes, or None when they are not JSON.

    A byte-order mark is no fault, nor is a lone surrogate in an escape, which JSON allows and orjson refuses.
    """
    raw = raw.removeprefix(_BYTE_ORDER_MARK)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def json_text(value: Any) -> str:
    """A value as JSON text that every database stores: a lone surrogate stays the escape it came as."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, separators=(",", ":"))
