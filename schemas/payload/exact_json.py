"""JSON that reaches the wire as it was written, or is refused where it cannot.

JSON says more than a request can carry: numbers of any size and number of digits, one name twice in an object, half a
surrogate pair. Most readers change such a value without a word; here it becomes an `Unfit` in its place, which nothing
can write, so that the request is refused with the place and the reason.

Source: RFC 8259, sections 4, 6 and 8.2, on what readers do not agree about.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from schemas.payload.invalid import InvalidPayload, invalid_at

#: levels of lists and objects, the outermost included: what the writer goes down to
MAX_DEPTH = 254
#: what a whole number may be, as the writer has it
_LEAST, _MOST = -(2**63), 2**64 - 1
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Unfit:
    """Stands where a row has what a request cannot carry.

    Attributes:
        reason: goes on from the place, such as "is not valid UTF-8 text".
    """

    reason: str


TWICE = Unfit("is an object that has one name twice; keep one of the two")
TOO_LARGE = Unfit("is a whole number of more than 64 bits; write it as text")
TOO_FINE = Unfit(
    "is a number that a double cannot carry as it is written; write it with at most 15 digits, or as text"
)
NOT_A_NUMBER = Unfit("is not a number (NaN or infinity), which JSON does not have; leave it out")
TOO_DEEP = Unfit(f"is nested more than {MAX_DEPTH} levels deep")
HALF_A_PAIR = Unfit(
    "is text with half of a surrogate pair, which UTF-8 does not have; write the whole character"
)
NOT_UTF8 = Unfit("is not valid UTF-8 text")
NO_NAME = Unfit("is an object with a name that is not text")
NO_JSON = Unfit("is of a type that JSON does not have; write it as text")


def exact_json(column: str, text: str) -> Any:
    """What a JSON text says, nulls included, with an `Unfit` where it says more than a request can carry.

    Args:
        column: the column it stands in, for the refusal.
        text: one JSON value.

    Raises:
        InvalidPayload: it is not JSON.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidPayload(column, f"is not valid JSON (near character {error.pos})") from None
    except RecursionError:
        raise InvalidPayload(column, TOO_DEEP.reason) from None
    if isinstance(value, Unfit):
        raise InvalidPayload(column, value.reason)
    return value


def exact_request(name: str, text: str) -> dict[str, Any]:
    """A request as a person wrote it, as JSON text; every value of it is what was written.

    Args:
        name: what the text is called, for the refusal.
        text: a JSON object.

    Raises:
        InvalidPayload: it is not one, or says more than a request can carry.
    """
    found = exact_json(name, text)
    if not isinstance(found, dict):
        raise InvalidPayload(name, "must be a JSON object: a Messages request without a model")
    refuse_unfit(found)
    return found


def refuse_unfit(request: Any) -> None:
    """Refuse a request with what JSON cannot carry as it is, with the place of the first such value.

    Raises:
        InvalidPayload: there is one.
    """
    for path, value in _places(request):
        reason = _unfit(value, len(path))
        if reason is not None:
            raise invalid_at(path, reason.reason)


def exact_number(number: Decimal) -> int | float | Unfit:
    """A decimal number as the JSON number of exactly this value."""
    if not number.is_finite():
        return NOT_A_NUMBER
    if number == number.to_integral_value() and number.adjusted() < 20:
        whole = int(number)
        return whole if _LEAST <= whole <= _MOST else TOO_LARGE
    return _float(str(number))


def _whole(digits: str) -> int | Unfit:
    if len(digits) > 20:
        return TOO_LARGE
    number = int(digits)
    return number if _LEAST <= number <= _MOST else TOO_LARGE


def _float(digits: str) -> float | Unfit:
    number = float(digits)
    written = repr(number)
    if written == digits:
        return number
    try:
        return number if math.isfinite(number) and Decimal(written) == Decimal(digits) else TOO_FINE
    except InvalidOperation:  # an exponent that no decimal has either
        return TOO_FINE


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Unfit:
    made = dict(pairs)
    return made if len(made) == len(pairs) else TWICE


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_whole,
    parse_float=_float,
    parse_constant=lambda _: NOT_A_NUMBER,
)


def _places(value: Any) -> Iterator[tuple[Path, Any]]:
    """Every value of a tree with its path, in the order in which it is written."""
    pending: list[tuple[Path, Any]] = [((), value)]
    while pending:
        path, item = pending.pop()
        yield path, item
        if len(path) > MAX_DEPTH:
            continue
        if isinstance(item, dict):
            pending += [((*path, key), inside) for key, inside in reversed(item.items())]
        elif isinstance(item, list):
            pending += [((*path, at), item[at]) for at in range(len(item) - 1, -1, -1)]


def _unfit(value: Any, depth: int) -> Unfit | None:
    """Why a value by itself cannot be written, if it cannot."""
    match value:
        case Unfit():
            return value
        case None | bool():
            return None
        case str():
            fits, why = _is_utf8(value), HALF_A_PAIR
        case float():
            fits, why = math.isfinite(value), NOT_A_NUMBER
        case int():
            fits, why = _LEAST <= value <= _MOST, TOO_LARGE
        case list() | dict() if depth >= MAX_DEPTH:
            fits, why = False, TOO_DEEP
        case dict():
            return _unfit_name(value)
        case _:
            fits, why = isinstance(value, list), NO_JSON
    return None if fits else why


def _unfit_name(value: dict[Any, Any]) -> Unfit | None:
    if not all(isinstance(name, str) for name in value):
        return NO_NAME
    return None if all(map(_is_utf8, value)) else HALF_A_PAIR


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
