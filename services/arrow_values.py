"""Arrow columns as plain values, a column at a time: what JSON can say, and an `Unfit` in the place of what it cannot.

A value that cannot be had (bytes that are not UTF-8, a date that Python does not have, a type that JSON does not have)
is found where it stands, so that it spoils its own row and nothing else. A struct is a dict with all of its fields,
those without a value too; a map is `Entries`, and a value of Arrow's JSON type is a `JsonText`.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from schemas.payload.exact_json import NO_JSON, NO_NAME, TWICE, Unfit
from schemas.row import Entries, JsonText

#: levels of nested types that are followed
_MAX_LEVELS = 100
_TOO_DEEP = Unfit(f"has a type of more than {_MAX_LEVELS} levels; write it as JSON text")
NOT_UTF8 = Unfit("is not valid UTF-8 text")
_NO_DATE = Unfit("is a date or a time that cannot be written (out of range, or of an unknown time zone)")
_Values = list[Any]


def column_values(column: pa.Array | pa.ChunkedArray) -> _Values:
    """The values of a column, one a row; None where there is none."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _values(chunk, 0)]
    return _values(column, 0)


def unwrapped(kind: pa.DataType) -> pa.DataType:
    """The type of the values of a dictionary or run-end encoded column."""
    while kinds.is_dictionary(kind) or kinds.is_run_end_encoded(kind):
        kind = kind.value_type
    return kind


def is_json(kind: pa.DataType) -> bool:
    """Whether it is Arrow's JSON type, which Parquet's JSON columns are read as."""
    return isinstance(kind, pa.JsonType)


def is_uuid(kind: pa.DataType) -> bool:
    """Whether it is Arrow's UUID type."""
    return isinstance(kind, pa.UuidType)


def kind_name(kind: pa.DataType) -> str:
    """What a column holds, for a sentence. The names inside a struct may be data of a payload, and are left out."""
    if kinds.is_struct(kind) or kinds.is_map(kind) or kinds.is_union(kind):
        return str(kind).partition("<")[0]
    if kinds.is_nested(kind):
        return f"list of {kind_name(unwrapped(kind.value_type))}"
    return str(kind)


def _values(array: pa.Array, level: int) -> _Values:
    kind = array.type
    if level > _MAX_LEVELS:
        return _all(array, _TOO_DEEP)
    for is_of, convert in _NESTED:
        if is_of(kind):
            return convert(array, level + 1)
    for is_of, read in _PLAIN:
        if is_of(kind):
            return read(array)
    return _all(array, NO_JSON)


# --- values without values inside ------------------------------------------------------------------------------


def _as_they_are(array: pa.Array) -> _Values:
    return list(array.to_pylist())


def _texts(array: pa.Array) -> _Values:
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:  # one bad value must not stop the others
        return _each(array, lambda value: value, UnicodeDecodeError, NOT_UTF8)


def _moments(array: pa.Array) -> _Values:
    """Dates and times as ISO 8601 text, to the last digit they have."""
    # of an unknown zone: a KeyError; out of Python's range: an OverflowError or a ValueError
    return _each(array, lambda value: value.isoformat(), (ValueError, OverflowError, LookupError), _NO_DATE)


def _times(array: pa.Array) -> _Values:
    """Times of day as ISO 8601 text; Arrow writes them to the last digit, and Python only to the microsecond."""
    day = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}[array.type.unit]
    ticks = array.cast(pa.int32() if kinds.is_time32(array.type) else pa.int64()).to_pylist()
    fits = pa.array([tick is not None and 0 <= tick < day for tick in ticks], pa.bool_())
    written = pc.if_else(fits, array, pa.scalar(None, array.type)).cast(pa.string()).to_pylist()
    return [
        None if tick is None else _NO_DATE if text is None else text
        for tick, text in zip(ticks, written, strict=True)
    ]


def _each(
    array: pa.Array,
    read: Callable[[Any], Any],
    bad: type[Exception] | tuple[type[Exception], ...],
    why: Unfit,
) -> _Values:
    """Values read one by one; `why` in the place of those whose reading raises."""
    values: _Values = []
    for scalar in array:
        try:
            value = scalar.as_py()
            values.append(None if value is None else read(value))
        except bad:
            values.append(why)
    return values


def _uuids(array: pa.Array) -> _Values:
    return [None if raw is None else str(UUID(bytes=raw)) for raw in array.storage.to_pylist()]


def _json_texts(array: pa.Array) -> _Values:
    texts = _texts(array.storage)
    return [JsonText(text) if isinstance(text, str) else text for text in texts]


def _flags(array: pa.Array) -> _Values:
    return [None if value is None else value != 0 for value in array.storage.to_pylist()]


def _all(array: pa.Array, why: Unfit) -> _Values:
    """`why` in the place of every value that is there."""
    return [why if valid else None for valid in array.is_valid().to_pylist()]


# --- values with values inside ---------------------------------------------------------------------------------


def _looked_up(array: pa.DictionaryArray, level: int) -> _Values:
    words = _values(array.dictionary, level)
    return [None if index is None else words[index] for index in array.indices.to_pylist()]


def _repeated(array: pa.RunEndEncodedArray, level: int) -> _Values:
    first, ends = array.offset, array.run_ends.to_pylist()
    values = _values(array.values, level)
    unrolled: _Values = []
    for end, value in zip(ends, values, strict=True):
        until = min(end - first, len(array))
        unrolled.extend([value] * (until - len(unrolled)))
    return unrolled


def _lists(array: pa.Array, level: int) -> _Values:
    offsets = array.offsets.to_pylist()
    return _parts(array, pairwise(offsets), lambda part: _values(part, level))


def _list_views(array: pa.Array, level: int) -> _Values:
    spans = [
        (start, start + size)
        for start, size in zip(array.offsets.to_pylist(), array.sizes.to_pylist(), strict=True)
    ]
    return _parts(array, spans, lambda part: _values(part, level))


def _fixed_lists(array: pa.FixedSizeListArray, level: int) -> _Values:
    size, first = array.type.list_size, array.offset
    spans = [((first + at) * size, (first + at + 1) * size) for at in range(len(array))]
    return _parts(array, spans, lambda part: _values(part, level))


def _parts(
    array: pa.Array, spans: Iterable[tuple[int, int]], convert: Callable[[pa.Array], _Values]
) -> _Values:
    """Each list cut out of the values of all; only what the lists reach is converted."""
    used = [span if valid else None for span, valid in zip(spans, array.is_valid().to_pylist(), strict=True)]
    full = [span for span in used if span is not None and span[0] < span[1]]
    first = min((start for start, _ in full), default=0)
    last = max((end for _, end in full), default=0)
    items = convert(array.values.slice(first, last - first))
    return [None if span is None else items[span[0] - first : span[1] - first] for span in used]


def _maps(array: pa.MapArray, level: int) -> _Values:
    offsets = array.offsets.to_pylist()
    spans = list(pairwise(offsets))
    valid = array.is_valid().to_pylist()
    first, last = offsets[0], offsets[-1]
    names = _values(array.keys.slice(first, last - first), level)
    items = _values(array.items.slice(first, last - first), level)
    return [
        _entries(names[start - first : end - first], items[start - first : end - first]) if there else None
        for (start, end), there in zip(spans, valid, strict=True)
    ]


def _entries(names: Sequence[Any], items: Sequence[Any]) -> Entries | Unfit:
    if not all(isinstance(name, str) for name in names):
        return NOT_UTF8 if NOT_UTF8 in names else NO_NAME
    if len(set(names)) < len(names):
        return TWICE
    return Entries(dict(zip(names, items, strict=True)))


def _structs(array: pa.StructArray, level: int) -> _Values:
    names = [field.name for field in array.type]
    columns = [_values(array.field(at), level) for at in range(len(names))]
    valid = array.is_valid().to_pylist()
    if not names:
        return [Entries({}) if there else None for there in valid]
    if len(set(names)) < len(names):
        return [
            _struct_of_twins(names, row) if there else None
            for row, there in zip(zip(*columns, strict=True), valid, strict=True)
        ]
    return [
        dict(zip(names, row, strict=True)) if there else None
        for row, there in zip(zip(*columns, strict=True), valid, strict=True)
    ]


def _struct_of_twins(names: Sequence[str], row: Sequence[Any]) -> dict[str, Any] | Unfit:
    """A struct whose type has one name twice: right as long as only one of the two has a value."""
    given = [(name, value) for name, value in zip(names, row, strict=True) if value is not None]
    struct: dict[str, Any] = dict.fromkeys(names)
    struct |= dict(given)
    return struct if len({name for name, _ in given}) == len(given) else TWICE


_NESTED: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any, int], _Values]], ...] = (
    (kinds.is_struct, _structs),
    (lambda kind: kinds.is_list(kind) or kinds.is_large_list(kind), _lists),
    (kinds.is_fixed_size_list, _fixed_lists),
    (lambda kind: kinds.is_list_view(kind) or kinds.is_large_list_view(kind), _list_views),
    (kinds.is_map, _maps),
    (kinds.is_dictionary, _looked_up),
    (kinds.is_run_end_encoded, _repeated),
)
_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], _Values]], ...] = (
    (lambda kind: kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind), _texts),
    (
        lambda kind: (
            kinds.is_integer(kind)
            or kinds.is_floating(kind)
            or kinds.is_boolean(kind)
            or kinds.is_decimal(kind)
            or kinds.is_null(kind)
        ),
        _as_they_are,
    ),
    (lambda kind: kinds.is_date(kind) or kinds.is_timestamp(kind), _moments),
    (kinds.is_time, _times),
    (is_json, _json_texts),
    (is_uuid, _uuids),
    (lambda kind: isinstance(kind, pa.Bool8Type), _flags),
)
