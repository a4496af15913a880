"""JSON Lines files as rows of plain values: one object a line, read exactly, so that a bad line spoils its own row only.

PyArrow unpacks the file. Its own JSON reader is not used: it wants one type for each place of all rows (a `content` that
is text here and a list there is an error), takes texts for moments, and changes numbers.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.errors import BadInput
from schemas.payload.exact_json import NOT_UTF8, Unfit, exact_json
from schemas.payload.invalid import InvalidPayload
from schemas.row import ParsedJson
from services.row_pieces import (
    BYTES_PER_BATCH,
    ROWS_DECODED,
    FileFacts,
    LeavesOut,
    RowPiece,
    damaged,
    unpacked,
)

#: lines whose names are looked at in any case
_LINES_LOOKED_AT = 1_000
#: of this many first lines, one must be an object
_FIRST_LINES = 10
_NO_OBJECT = Unfit("is JSON, but not an object; write one object a line, with the columns as its names")


def json_facts(path: Path, check: Callable[[FileFacts], None]) -> FileFacts:
    """What a JSON Lines file has; its lines are counted to its end.

    Args:
        path: the file.
        check: raises where its columns are not those that are needed.

    Raises:
        BadInput: that, or none of the first lines is an object.
    """
    names: dict[str, None] = {}
    rows = objects = 0
    is_enough = False
    try:
        for _, line in _lines(path):
            rows += 1
            if rows == 1 and line.lstrip().startswith(b"["):
                break
            if not is_enough:
                found = _names(line)
                objects += found is not None
                names |= dict.fromkeys(found or ())
            if rows == _FIRST_LINES and not objects:
                break
            if rows % _LINES_LOOKED_AT == 0 and not is_enough:
                is_enough = _is_enough(FileFacts(tuple(names), 0), check)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error
    if rows and not objects:
        raise _no_lines(path)
    facts = FileFacts(tuple(names), rows)
    if rows:
        check(facts)
    return facts


def json_pieces(
    path: Path, _facts: FileFacts, columns: Sequence[str], _leaves_out: LeavesOut
) -> Iterator[RowPiece]:
    """The rows of a JSON Lines file, in order; a line that is not an object has an `Unfit` under its number.

    Args:
        path: the file.
        _facts: what was found in it, which its rows do not need.
        columns: which of its columns are read.
        _leaves_out: not asked: where a line begins is known only once those before it are read.

    Raises:
        BadInput: it cannot be read to its end.
    """
    rows: list[dict[str, Any]] = []
    nbytes = 0
    try:
        for number, line in _lines(path):
            rows.append(_row(number, line, columns))
            nbytes += len(line)
            if len(rows) >= ROWS_DECODED or nbytes >= BYTES_PER_BATCH:
                yield RowPiece(rows, nbytes)
                rows, nbytes = [], 0
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error
    if rows:
        yield RowPiece(rows, nbytes)


def _row(number: int, line: bytes, columns: Sequence[str]) -> dict[str, Any]:
    place = f"line {number} of its file"
    try:
        value = exact_json(place, line.decode())
    except UnicodeDecodeError:
        return {place: NOT_UTF8}
    except InvalidPayload as error:
        return {place: Unfit(error.reason)}
    if not isinstance(value, dict):
        return {place: _NO_OBJECT}
    return {name: _value(value[name]) for name in columns if name in value}


def _value(value: Any) -> Any:
    return ParsedJson(value) if isinstance(value, dict | list) else value


def _names(line: bytes) -> list[str] | None:
    """The names of the object in a line; None: there is none."""
    try:
        found = exact_json("", line.decode())
    except (UnicodeDecodeError, InvalidPayload):
        return None
    return list(found) if isinstance(found, dict) else None


def _is_enough(facts: FileFacts, check: Callable[[FileFacts], None]) -> bool:
    """Whether the columns found so far are those that are needed; a later line may have one that is missing yet."""
    try:
        check(facts)
    except BadInput:
        return False
    return True


def _no_lines(path: Path) -> BadInput:
    with _text(path) as stream:
        first = stream.read(1_000).lstrip()[:1]
    found, fix = (
        "none of its first lines is a JSON object",
        "Write one object a line, or call it .csv if it is CSV",
    )
    if first == b"[":
        found, fix = (
            "it is one JSON array",
            f"Write one object a line, such as with `jq -c '.[]' {path.name}`",
        )
    elif first == b"{":
        found, fix = (
            "its objects go over several lines",
            f"Write one a line, such as with `jq -c . {path.name}`",
        )
    return BadInput(f"{path} is not JSON Lines: {found}. {fix}; nothing was sent.")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, each with its number as an editor shows it."""
    with _text(path) as stream:
        for number, line in enumerate(stream, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield number, text


@contextmanager
def _text(path: Path) -> Iterator[io.BufferedReader]:
    with (
        unpacked(path) as stream,
        io.BufferedReader(stream, 1_000_000) as reader,
    ):
        yield reader
