"""Answers and result lines of a shape that nobody expects, each of which somebody's API or middle box has sent."""

import copy
from collections.abc import Callable
from typing import Any

import orjson

from simulator.plan.planned_faults import Shape

#: one more than the largest integer that a database column holds
HUGE = 2**63

#: lines end at none of them in JSON, and at each of them for a reader that splits as text does
SEPARATORS = "\u2028\u2029\x85"

_BOM = b"\xef\xbb\xbf"
#: stands for what no JSON library writes, until the text is bytes
_PLACE = "\ue000"


def odd_answer(message: dict[str, Any], shape: Shape) -> bytes:
    """A message of the Messages API in an odd shape.

    Args:
        message: the message as it would be.
        shape: what is odd about it.

    Returns:
        the body, JSON in UTF-8 but for what is odd.
    """
    message = copy.deepcopy(message)
    change = _CHANGES.get(shape)
    if change is not None:
        change(message)
    text = orjson.dumps(message).replace(_PLACE.encode(), b"\\ud83d")
    return _BOM + text if shape == "bom" else text


def odd_line(line: dict[str, Any], shape: Shape) -> bytes:
    """A line of a batch's results in an odd shape.

    Args:
        line: the line as it would be.
        shape: what is odd about it; what it is not about stays as it is.

    Returns:
        the line without its end.
    """
    result = line["result"]
    if shape == "result_text":
        return orjson.dumps({**line, "result": orjson.dumps(result).decode()})
    if shape == "unknown_type":
        return orjson.dumps({**line, "result": {**result, "type": "postponed"}})
    if shape == "error_text" and "error" in result:
        return orjson.dumps({**line, "result": {**result, "error": result["error"]["error"]["message"]}})
    if "message" not in result:
        return _BOM + orjson.dumps(line) if shape == "bom" else orjson.dumps(line)
    message = odd_answer(result["message"], shape).removeprefix(_BOM)
    start, end = orjson.dumps({**line, "result": {**result, "message": _PLACE}}).split(f'"{_PLACE}"'.encode())
    return (_BOM if shape == "bom" else b"") + start + message + end


def _whole_floats(message: dict[str, Any]) -> None:
    usage = message["usage"]
    for name, value in usage.items():
        if isinstance(value, int):
            usage[name] = float(value)


def _usage_huge(message: dict[str, Any]) -> None:
    message["usage"]["output_tokens"] = HUGE


def _stop_reason_missing(message: dict[str, Any]) -> None:
    del message["stop_reason"]


def _with_text(more: str) -> Callable[[dict[str, Any]], None]:
    """Adds something to the last text of a message, which gets one if it has none."""

    def change(message: dict[str, Any]) -> None:
        texts = [block for block in message["content"] if block["type"] == "text"]
        if not texts:
            texts = [{"type": "text", "text": "[simulated] ", "citations": None}]
            message["content"].extend(texts)
        texts[-1]["text"] += more

    return change


_CHANGES: dict[Shape, Callable[[dict[str, Any]], None]] = {
    "whole_floats": _whole_floats,
    "usage_huge": _usage_huge,
    "stop_reason_missing": _stop_reason_missing,
    "lone_surrogate": _with_text(_PLACE),
    "line_separator": _with_text(SEPARATORS),
}
