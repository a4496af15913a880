"""What a fault does to a request before it is taken, and to its answer afterwards."""

from typing import Any

import orjson

from simulator.faults.box_pages import BoxPageError
from simulator.faults.odd_shapes import odd_answer
from simulator.http.api_errors import SPEND_CAP_CODE, RefusedError
from simulator.plan import Fault
from simulator.plan.planned_faults import FAULTS_BEFORE

#: the words of the 400 that ends prepaid credit; clients know it by how they begin
CREDIT_BALANCE = (
    "Your credit balance is too low to access the Anthropic API. "
    "Please go to Plans & Billing to upgrade or purchase credits."
)


class Cut(Exception):  # noqa: N818 - an order to the transport, not an error
    """The connection is to be cut without an answer."""


def strike_before(fault: Fault) -> None:
    """Raise for a fault that strikes before a request is taken.

    Args:
        fault: the fault picked for it.

    Raises:
        RefusedError: for the API's own errors.
        BoxPageError: for "page_before".
        Cut: for "cut_before".
    """
    if fault.kind == "page_before":
        raise BoxPageError(fault)
    if fault.kind == "cut_before":
        raise Cut
    if fault.kind in FAULTS_BEFORE:
        raise planned_error(fault)


def planned_error(fault: Fault) -> RefusedError:
    """The API's error that a fault stands for, of a call or of a request inside of a batch."""
    if fault.kind == "spend_cap":
        message = "Your organization has reached its monthly API usage threshold"
        return RefusedError(429, message, error_code=SPEND_CAP_CODE)
    if fault.kind == "credit_balance":
        return RefusedError(400, CREDIT_BALANCE)
    if fault.kind == "not_found_yet":
        return RefusedError(404, "message_batch_id: there is no such batch")
    message = fault.message or "planned fault of the simulator"
    return RefusedError(fault.status or 500, message, retry_after=fault.retry_after)


def strike_after(fault: Fault, answer: Any) -> Any:
    """Spoil the answer of a request that was taken.

    Args:
        fault: the fault picked for it.
        answer: the answer as a JSON object; any other is sent as it is or not at all.

    Returns:
        what to send: a JSON object, bytes as they are, or the other answer.

    Raises:
        Cut: for "cut_after", which sends nothing.
        BoxPageError: for "page_after".
    """
    if fault.kind == "cut_after":
        raise Cut
    if fault.kind == "page_after":
        raise BoxPageError(fault)
    if not isinstance(answer, dict):
        return answer
    if fault.kind == "malformed_body":
        text = orjson.dumps(answer)
        return text[: len(text) // 2]
    if fault.kind == "usage_missing":
        return without_usage(answer)
    if fault.kind == "odd_shape" and fault.shape is not None:
        return odd_answer(answer, fault.shape)
    return answer


def without_usage(answer: dict[str, Any]) -> dict[str, Any]:
    """A message without its usage, or a count without its number."""
    return {name: value for name, value in answer.items() if name not in ("usage", "input_tokens")}
