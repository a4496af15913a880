"""JSON as bytes that take no more memory than they are long."""

from typing import Any

import orjson


def json_bytes(value: Any) -> bytes:
    """A value as compact JSON, UTF-8, for whoever keeps it a while.

    The bytes that orjson returns keep the room that it reserved for writing them: measured with 3.13.0, 65 KB for a text
    of 5 KB.

    Raises:
        TypeError: there is no JSON of it.
    """
    return bytes(memoryview(orjson.dumps(value)))
