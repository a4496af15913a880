"""JSON is read as it is written, or what cannot be kept of it is refused in its place."""

import json
from datetime import date
from decimal import Decimal

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.payload.exact_json import (
    MAX_DEPTH,
    TOO_FINE,
    TOO_LARGE,
    Unfit,
    exact_json,
    exact_number,
    refuse_unfit,
)
from schemas.payload.invalid import InvalidPayload
from schemas.payload.payload import Payload
from tests.strategies import MARK, json_values, request

SCHEMA = {"type": "object"}
#: every number that JSON can write
number_texts = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)


def meant(text):
    """What a JSON text says, to the last digit."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def carried(value):
    """The same of a value that goes out, as the SDK writes it."""
    return meant(json.dumps(value, ensure_ascii=False, allow_nan=False))


@given(number_texts)
@example("18446744073709551615")
@example("18446744073709551616")
@example("-9223372036854775808")
@example("-9223372036854775809")
@example("9007199254740993.0")
@example("1e400")
@example("1e-400")
@example("-0.0")
@example("0.10")
@example("0.1000000000000000055511151231257827")
@example("1E5")
@example("1e99999999999999999999")
def test_a_number_is_kept_to_the_last_digit_or_refused(text):
    value = exact_json("params", f"[{text}]")[0]
    if isinstance(value, Unfit):
        assert value in (TOO_LARGE, TOO_FINE)
    else:
        assert carried(value) == Decimal(text)
        assert orjson.loads(orjson.dumps(value)) == value


@given(st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False))
def test_what_a_machine_holds_is_never_refused(number):
    assert exact_json("params", json.dumps(number)) == number


@given(st.decimals(-(10**15), 10**15, places=3) | st.decimals())
def test_a_decimal_is_the_json_number_of_its_value_or_refused(number):
    value = exact_number(number)
    if isinstance(value, Unfit):
        assert not number.is_finite() or abs(number) >= 2**63 or len(number.as_tuple().digits) > 15 or abs(number.adjusted()) > 300  # fmt: skip
    else:
        assert carried(value) == number


@given(json_values)
def test_a_json_text_is_read_as_it_is_with_its_nulls(value):
    text = json.dumps({"x": value, "none": None})
    assert exact_json("params", text) == {"x": value, "none": None}


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), min_size=1, max_size=4), st.data())
def test_a_name_that_stands_twice_is_refused_also_with_the_same_value(pairs, data):
    name = data.draw(st.sampled_from(sorted(pairs)))
    inside = ",".join(f"{json.dumps(key)}:{value}" for key, value in [*pairs.items(), (name, pairs[name])])
    with pytest.raises(InvalidPayload, match="one name twice"):
        exact_json("params", f"{{{inside}}}")


PLACES = {
    "tools": (lambda value: {"tools": [{"name": "a", "input_schema": SCHEMA | {MARK: value}}]}, "tools.0.input_schema"),
    "messages": (
        lambda value: {"messages": [{"role": "user", "content": [{"type": "x", "input": {"y": [value]}}]}]},
        "messages.0.content.0.input",
    ),
    "params": (lambda value: {MARK: value}, "something inside"),
}  # fmt: skip
UNFIT = {
    "too large": (2**64, "64 bits"),
    "not a number": (float("nan"), "NaN"),
    "infinity": (float("-inf"), "infinity"),
    "half a pair": (f"\ud800{MARK}", "surrogate"),
    "half a pair in a name": ({f"\udc00{MARK}": 1}, "surrogate"),
    "no text as a name": ({1: MARK}, "not text"),
    "bytes": (MARK.encode(), "type that JSON does not have"),
    "a date": (date(2026, 1, 1), "type that JSON does not have"),
    "a marker": (Unfit("is not valid UTF-8 text"), "UTF-8"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", UNFIT)
def test_what_cannot_be_written_is_refused_with_its_place_and_without_its_words(place, kind):
    make, where = PLACES[place]
    value, words = UNFIT[kind]
    for step in (Payload.checked, refuse_unfit):
        with pytest.raises(InvalidPayload) as refused:
            step(request() | make(value))
        assert refused.value.column == place
        assert where in refused.value.reason
        assert words in refused.value.reason
        assert MARK not in str(refused.value)


@pytest.mark.parametrize("nest", [lambda inner: [inner], lambda inner: {"a": inner}])
def test_a_request_goes_as_deep_as_it_can_be_written_and_deeper_is_refused(nest):
    def of_depth(levels):
        value = 1
        for _ in range(levels):
            value = nest(value)
        return request(tools=[{"name": "a", "input_schema": SCHEMA | {"x": value}}])

    deepest = MAX_DEPTH - 4  # the request, the tools, the tool and the schema are levels too
    assert Payload.checked(of_depth(deepest)).text
    for levels in (deepest + 1, deepest + 2, 600):
        with pytest.raises(InvalidPayload, match=f"{MAX_DEPTH} levels"):
            Payload.checked(of_depth(levels))


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "[1,]", "\ufeff[]", "01", "1.", ".5", '"\n"', "[1] 2", "{1:2}", "'a'"]
)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(InvalidPayload, match="not valid JSON"):
        exact_json("params", text)


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_numbers_that_are_none_are_refused(text):
    with pytest.raises(InvalidPayload, match="NaN"):
        refuse_unfit({"params": exact_json("params", text)})


@pytest.mark.parametrize("levels", [2_000, 200_000])
def test_a_nest_that_nobody_can_follow_is_refused(levels):
    with pytest.raises(InvalidPayload, match="levels deep"):
        exact_json("params", "[" * levels + "]" * levels)
