"""What a fault does to a request before it is accepted, and to its answer afterwards."""

from typing import Any

import orjson

from simulator.http.api_errors import SPEND_CAP_CODE, RefusedError
from simulator.plan import Fault


class Cut(Exception):  # noqa: N818 - an order to the transport, not an error
    """The connection is to be cut without an answer."""


def strike_before(fault: Fault | None) -> None:
    """Raise for faults that strike before a request is accepted.

    Args:
        fault: the fault picked for it, if any.

    Raises:
        RefusedError: for "status" and "spend_cap".
        Cut: for "cut_before".
    """
    if fault is None:
        return
    if fault.kind == "status":
        message = "planned fault of the simulator"
        raise RefusedError(fault.status or 500, message, retry_after=fault.retry_after)
    if fault.kind == "spend_cap":
        raise RefusedError(
            429, "Your organization has reached its monthly API usage threshold", error_code=SPEND_CAP_CODE
        )
    if fault.kind == "cut_before":
        raise Cut


def strike_after(fault: Fault | None, answer: Any) -> Any:
    """Spoil the answer of an accepted request.

    Args:
        fault: the fault picked for it, if any.
        answer: the answer as a JSON object; any other is sent as it is or not at all.

    Returns:
        what to send: a JSON object, bytes as they are, or the other answer.

    Raises:
        Cut: for "cut_after", which sends nothing.
    """
    if fault is None:
        return answer
    if fault.kind == "cut_after":
        raise Cut
    if fault.kind == "malformed_body" and isinstance(answer, dict):
        text = orjson.dumps(answer)
        return text[: len(text) // 2]
    if fault.kind == "usage_missing":
        return {name: value for name, value in answer.items() if name not in ("usage", "input_tokens")}
    return answer
