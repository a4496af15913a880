"""CSV files as rows of text, streamed by PyArrow. What a value means is for its column to say.

A value without quotation marks that is empty is none; one that is quoted and empty is empty text. A row with another
number of values than the header has is a fault of the whole file: where a quotation mark is missing, no later row can
be trusted.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv

from schemas.errors import BadInput
from services.parquet_rows import rows_of
from services.row_pieces import ROWS_DECODED, FileFacts, RowPiece, changed, damaged, file_stamp

#: bytes parsed together: a row must fit into them, and the API takes no request above 32 MB
_BLOCKS = (4_000_000, 128_000_000)
#: what may stand between values, the likeliest first
_DELIMITERS = ",;\t|"
_HEADER_BYTES = 1_000_000
#: a row put after the last one while rows are counted: an open quotation mark would swallow it
_END = "weighbridge: end of file"


def csv_facts(path: Path, check: Callable[[FileFacts], None]) -> FileFacts:
    """What a CSV file has; it is read once to its end.

    Args:
        path: the file.
        check: raises where its columns are not those that are needed.

    Raises:
        BadInput: that, or it has no header, a row with another number of values, an open quotation mark, or too long a
            row.
    """
    try:
        stamp = file_stamp(path)
        names, delimiter = _header(path)
        check(FileFacts(names, 0))
        for block_bytes in _BLOCKS:
            facts = FileFacts(names, 0, {}, stamp, block_bytes, delimiter)
            rows = _counted(path, facts)
            if rows is not None:
                return replace(facts, rows=rows)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error
    raise BadInput(
        f"{path} has a row of more than {_BLOCKS[-1] // 1_000_000} MB, which no request can be. {_open_quote()}"
    )


def csv_pieces(path: Path, facts: FileFacts, columns: Sequence[str]) -> Iterator[RowPiece]:
    """The rows of a CSV file, in order; every value is text, or None.

    Args:
        path: the file.
        facts: what was found in it.
        columns: which of its columns are read.

    Raises:
        BadInput: it cannot be read any more, or is no longer the file that was checked.
    """
    try:
        if file_stamp(path) != facts.stamp:
            raise changed(path)
        with _text(path) as stream, _reader(stream, facts, columns) as reader:
            for batch in reader:
                for start in range(0, batch.num_rows, ROWS_DECODED):
                    part = batch.slice(start, ROWS_DECODED)
                    yield RowPiece(rows_of(part), part.nbytes)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them: what makes the most of the first line."""
    with _text(path) as stream:
        head = stream.read(_HEADER_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    try:
        # a later line may be of any bytes
        text = head.decode(errors="surrogateescape")
        read = {one: next(csv.reader(io.StringIO(text), delimiter=one), []) for one in _DELIMITERS}
        delimiter = max(_DELIMITERS, key=lambda one: len(read[one]))
        "".join(read[delimiter]).encode()
    except (UnicodeEncodeError, csv.Error) as error:
        raise BadInput(
            f"{path} has a header that cannot be read ({type(error).__name__}). Save it as CSV UTF-8; nothing was sent."
        ) from None
    if not any(name.strip() for name in read[delimiter]):
        raise BadInput(
            f"{path} has no header: its first line must name the columns, such as job_id,prompt. Nothing was sent."
        )
    return read[delimiter], delimiter


def _counted(path: Path, facts: FileFacts) -> int | None:
    """How many rows it has; None: the longest of them is longer than what is parsed together.

    Raises:
        BadInput: a row has another number of values, or a quotation mark is not closed.
    """
    names = [next(name for name in facts.names if name.strip())]
    number, last = 0, None
    try:
        with _text(path) as text:
            ended = _Ended(text, facts.delimiter.join([_END] * len(facts.names)))
            with _reader(ended, facts, names) as reader:
                for batch in reader:
                    number += batch.num_rows
                    last = batch.column(0)[-1] if batch.num_rows else last
    except pa.ArrowInvalid as error:
        if "try to increase block size" in str(error):
            return None
        raise _ragged(path, str(error)) from None
    try:
        is_whole = last is not None and last.as_py() == _END
    except UnicodeDecodeError:
        is_whole = False
    if not is_whole:
        raise BadInput(f"{path} has a quotation mark that is never closed. {_open_quote()}")
    return number - 1


def _open_quote() -> str:
    return (
        "A value with a comma, a line break or a quotation mark stands in quotation marks, and those inside it are "
        "doubled. Write the file again with a CSV library; nothing was sent."
    )


def _ragged(path: Path, words: str) -> BadInput:
    """The refusal of a row with another number of values; Arrow's words quote the row, so they are not passed on."""
    found = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", words)
    if found is None:
        return BadInput(f"{path} cannot be read as CSV. {_open_quote()}")
    row, expected, got = found.groups()
    return BadInput(
        f"{path}: row {row} (the header is row 1) has {got} values, and the header names {expected} columns. "
        f"{_open_quote()}"
    )


@contextmanager
def _text(path: Path) -> Iterator[pa.NativeFile]:
    with pa.input_stream(str(path), compression="detect") as stream:
        yield stream


@contextmanager
def _reader(stream: Any, facts: FileFacts, columns: Sequence[str]) -> Iterator[arrow_csv.CSVStreamingReader]:
    """The record batches of a stream, all columns as text that may be of any bytes; one thread, so rows are numbered."""
    with arrow_csv.open_csv(
        stream,
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=facts.block_bytes),
        parse_options=arrow_csv.ParseOptions(delimiter=facts.delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            check_utf8=False,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
            include_columns=list(columns),
            column_types=dict.fromkeys(columns, pa.string()),
        ),
    ) as reader:
        yield reader


class _Ended(io.RawIOBase):
    """A stream with one more line after its last one."""

    def __init__(self, stream: pa.NativeFile, line: str) -> None:
        self._stream = stream
        self._rest = f"\n{line}\n".encode()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        if not data:
            data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)
