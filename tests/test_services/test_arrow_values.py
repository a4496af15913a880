"""Arrow values: whatever type a column has, each value is read right or refused by itself."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.read_row import job_from_row
from schemas.payload.exact_json import Unfit
from schemas.payload.invalid import InvalidPayload
from schemas.row import Entries, JsonText
from services.arrow_values import column_values, kind_name
from tests.strategies import texts

int64s = st.integers(-(2**63), 2**63 - 1)
#: types of values without values inside, and what they may hold
LEAVES = {
    pa.string(): texts,
    pa.large_string(): texts,
    pa.string_view(): texts,
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.int64(): int64s,
    pa.float64(): st.floats(),
    pa.float32(): st.floats(width=32),
    pa.decimal128(20, 3): st.decimals(-(10**15), 10**15, places=3),
    pa.decimal256(60, 9): st.decimals(-(10**40), 10**40, places=9),
    pa.json_(): st.sampled_from(['{"a": null}', "[1, 0.10]", '"x"', "{", '{"a": 1, "a": 2}']),
    pa.uuid(): st.binary(min_size=16, max_size=16),
    pa.bool8(): st.sampled_from([0, 1]),
    pa.opaque(pa.int64(), "x", "y"): int64s,
    pa.date32(): st.integers(-(2**31), 2**31 - 1),
    pa.timestamp("us"): int64s,
    pa.timestamp("ns"): int64s,
    pa.timestamp("s", "Europe/Berlin"): int64s,
    pa.timestamp("ns", "Nowhere/City"): int64s,
    pa.time32("ms"): st.integers(-5, 10**8),
    pa.time64("ns"): st.integers(0, 10**14),
    pa.duration("s"): int64s,
    pa.binary(): st.binary(max_size=5),
    pa.binary_view(): st.binary(max_size=5),
    pa.null(): st.none(),
}


def leaf_array(kind, values):
    """An array of a type from values as its storage has them."""
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    if pa.types.is_date(kind) or pa.types.is_time32(kind):
        return pa.array(values, pa.int32()).view(kind)
    if pa.types.is_temporal(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind)


def validity(draw, size):
    """A mask of what is null."""
    return pa.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), pa.bool_())


@st.composite
def arrays(draw, size, depth=2):
    """Any array of a size, nested to a depth."""
    if depth == 0 or draw(st.booleans()):
        kind = draw(st.sampled_from(list(LEAVES)))
        values = draw(st.lists(LEAVES[kind] | st.none(), min_size=size, max_size=size))
        return leaf_array(kind, values)
    how = draw(
        st.sampled_from(["struct", "list", "large list", "view", "fixed", "map", "dictionary", "runs"])
    )
    if how == "struct":
        fields = [draw(arrays(size, depth - 1)) for _ in range(2)]
        names = draw(st.sampled_from([["a", "b"], ["a", "a"]]))
        return pa.StructArray.from_arrays(fields, names, mask=validity(draw, size))
    if how == "fixed":
        return pa.FixedSizeListArray.from_arrays(
            draw(arrays(size * 2, depth - 1)), 2, mask=validity(draw, size)
        )
    cuts = sorted(draw(st.lists(st.integers(0, 4), min_size=size + 1, max_size=size + 1)))
    inner = draw(arrays(cuts[-1], depth - 1))
    offsets = pa.array(cuts, pa.int64() if how == "large list" else pa.int32())
    if how == "list":
        return pa.ListArray.from_arrays(offsets, inner, mask=validity(draw, size))
    if how == "large list":
        return pa.LargeListArray.from_arrays(offsets, inner, mask=validity(draw, size))
    if how == "view":
        sizes = pa.array([end - start for start, end in pairwise(cuts)], pa.int32())
        return pa.ListViewArray.from_arrays(offsets[:-1], sizes, inner)
    if how == "map":
        names = draw(st.lists(texts, min_size=len(inner), max_size=len(inner)))
        return pa.MapArray.from_arrays(offsets, pa.array(names, pa.string()), inner)
    if how == "dictionary":
        indices = draw(st.lists(st.integers(0, 2) | st.none(), min_size=size, max_size=size))
        return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), draw(arrays(3, 0)))
    ends = sorted({*draw(st.lists(st.integers(1, size), max_size=3)), size}) if size else []
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, pa.int32()), draw(arrays(len(ends), 0)))


def is_readable(value):
    """Whether it is one of the values that a row may have."""
    if isinstance(value, dict):
        return all(map(is_readable, value.values()))
    if isinstance(value, list):
        return all(map(is_readable, value))
    if isinstance(value, Entries):
        return all(map(is_readable, value.values.values()))
    return isinstance(value, bool | int | float | str | Decimal | Unfit | JsonText | None)


@given(st.integers(1, 4).flatmap(arrays), st.data())
def test_a_column_of_any_type_is_a_value_a_row_and_the_same_in_every_slice(array, data):
    values = column_values(array)
    assert len(values) == len(array)
    assert all(map(is_readable, values))
    start = data.draw(st.integers(0, len(array)))
    size = data.draw(st.integers(0, len(array) - start))
    assert repr(column_values(array.slice(start, size))) == repr(values[start : start + size])
    if not isinstance(array, pa.RunEndEncodedArray):
        nulls = array.is_null().to_pylist()
        if not pa.types.is_dictionary(array.type):
            assert [value is None for value in values] == nulls


@given(st.integers(1, 3).flatmap(arrays))
def test_whatever_is_nested_in_a_row_it_is_sent_as_json_or_refused_with_its_column(array):
    """As a field of a tool's input, where the API takes anything."""
    for value in column_values(array):
        call = {"type": "tool_use", "id": "t", "name": "n", "input": {"there": 1, "x": value}}
        answer = {"type": "tool_result", "tool_use_id": "t", "content": "y"}
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [answer]},
        ]
        try:
            job = job_from_row(0, {"job_id": "a", "messages": messages}, 100)
        except InvalidPayload as refused:
            assert refused.column == "messages"  # noqa: PT017 - or it is sent
            continue
        sent = job.payload.request["messages"][1]["content"][0]["input"]
        assert ("x" in sent) == (value is not None)
        if isinstance(value, str | bool | int):
            assert sent["x"] == value
        if isinstance(value, Decimal):
            assert Decimal(repr(sent["x"])) == value


@given(st.lists(int64s, min_size=1, max_size=4), st.sampled_from(["s", "ms", "us", "ns"]))
def test_a_moment_is_its_iso_text_to_the_last_digit(ticks, unit):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for tick, text in zip(ticks, column_values(leaf_array(pa.timestamp(unit), ticks)), strict=True):
        seconds, rest = divmod(tick, per_second)
        if isinstance(text, Unfit):
            assert not -62_135_596_800 <= seconds < 253_402_300_800
            continue
        whole, _, fraction = text.partition(".")
        assert datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp() == seconds
        assert Decimal(f"0.{fraction or 0}") == Decimal(rest) / per_second


@given(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5))
def test_a_day_that_python_does_not_have_spoils_nothing_but_itself(days):
    for day, text in zip(days, column_values(leaf_array(pa.date32(), days)), strict=True):
        ordinal = day + 719_163
        expected = date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= 3_652_059 else None
        assert text == expected if expected else isinstance(text, Unfit)


def test_values_of_extension_types_are_what_they_mean_and_not_their_storage():
    uuid = UUID(int=7)
    assert column_values(leaf_array(pa.uuid(), [uuid.bytes, None])) == [str(uuid), None]
    assert column_values(leaf_array(pa.json_(), ['{"a": 1}', None])) == [JsonText('{"a": 1}'), None]
    assert column_values(leaf_array(pa.bool8(), [0, 1, None])) == [False, True, None]
    [opaque, none] = column_values(leaf_array(pa.opaque(pa.int64(), "x", "y"), [5, None]))
    assert (isinstance(opaque, Unfit), none) == (True, None)


def test_a_map_is_an_object_with_its_nulls_and_one_that_cannot_be_spoils_its_row():
    kind = pa.map_(pa.string(), pa.int64())
    values = column_values(pa.array([[("a", None), ("b", 2)], [], None, [("a", 1), ("a", 1)]], kind))
    assert values[:3] == [Entries({"a": None, "b": 2}), Entries({}), None]
    assert isinstance(values[3], Unfit)
    numbered = column_values(pa.array([[(1, "x")], None], pa.map_(pa.int64(), pa.string())))
    assert (isinstance(numbered[0], Unfit), numbered[1]) == (True, None)


def test_a_type_nested_without_end_spoils_its_rows_only():
    array = pa.array([1, None])
    for _ in range(150):
        array = pa.StructArray.from_arrays([array], ["a"])
    row = {"job_id": "a", "prompt": "hi", "metadata": column_values(array)[0]}
    with pytest.raises(InvalidPayload, match="levels"):
        job_from_row(0, row, 100)


def test_a_nested_nan_is_refused_with_its_place():
    with pytest.raises(InvalidPayload, match="NaN"):
        job_from_row(0, {"job_id": "a", "prompt": "x", "thinking": {"budget_tokens": math.nan}}, 100)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.struct([("secret", pa.string())]), "struct"),
        (pa.list_(pa.struct([("secret", pa.string())])), "list of struct"),
        (pa.map_(pa.string(), pa.struct([("secret", pa.int8())])), "map"),
        (pa.large_list(pa.list_(pa.field("secret", pa.int64()))), "list of list of int64"),
        (pa.dense_union([pa.field("secret", pa.int64())]), "dense_union"),
        (pa.timestamp("us"), "timestamp[us]"),
    ],
)
def test_what_a_column_holds_is_named_without_the_names_inside(kind, name):
    assert kind_name(kind) == name
