"""CSV files as rows of text, streamed by PyArrow. What a value means is for its column to say.

An empty cell has no value; one with two quotation marks is empty text. PyArrow also reads files that are not CSV, such as
one in which a quotation mark was not closed, and makes other rows of them. So a strict reader looks at a file first, and
a file that it does not take is refused as a whole: where a quotation mark is missing, no later row can be trusted.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as arrow_csv

from schemas.errors import BadInput
from services.parquet_rows import rows_of
from services.row_pieces import ROWS_DECODED, FileFacts, LeavesOut, RowPiece, damaged, unpacked

#: bytes parsed together, at least; and at most, which is more than any request may have
_LEAST_BLOCK, _MOST_BLOCK = 4_000_000, 512_000_000
#: what may stand between values, the likeliest first
_DELIMITERS = ",;\t|"
_HEADER_BYTES = 1_000_000
#: a first line such as sep=; that only Excel reads
_EXCEL_SEPARATOR = re.compile(rb'"?sep=.?"?\r?\n', re.IGNORECASE)
_QUOTES = (
    "A value with a comma, a line break or a quotation mark stands in quotation marks, and each of those inside it is "
    "written twice. Write the file again with a CSV library; nothing was sent."
)


def csv_facts(path: Path, check: Callable[[FileFacts], None]) -> FileFacts:
    """What a CSV file has; it is read once to its end.

    Args:
        path: the file.
        check: raises where its columns are not those that are needed.

    Raises:
        BadInput: that, or it has no header, a row with another number of values, or a quotation mark in a wrong place.
    """
    try:
        names, delimiter = _header(path)
        check(FileFacts(names, 0))
        rows, blank_rows, longest = _counted(path, len(names), delimiter)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error
    # twice, for values in which each quotation mark is written twice; and a row may begin anywhere in a block
    block_bytes = max(_LEAST_BLOCK, 4 * longest)
    if block_bytes > _MOST_BLOCK:
        raise BadInput(
            f"{path} has a row of {longest:,} bytes, more than any request may have. Shorten it; nothing was sent."
        )
    return FileFacts(
        names,
        rows,
        block_bytes=block_bytes,
        delimiter=delimiter,
        blank_rows=blank_rows,
    )


def csv_pieces(
    path: Path, facts: FileFacts, columns: Sequence[str], _leaves_out: LeavesOut
) -> Iterator[RowPiece]:
    """The rows of a CSV file, in order; every value is text, or None.

    Args:
        path: the file.
        facts: what was found in it.
        columns: which of its columns are read.
        _leaves_out: not asked: where a row begins is known only once those before it are read.

    Raises:
        BadInput: it cannot be read to its end.
    """
    rows = 0
    try:
        with _reader(path, facts, columns) as reader:
            for batch in reader:
                wanted = batch.slice(0, max(0, facts.rows - rows))
                rows += batch.num_rows
                for start in range(0, wanted.num_rows, ROWS_DECODED):
                    part = wanted.slice(start, ROWS_DECODED)
                    yield RowPiece(rows_of(part), part.nbytes)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error
    if rows != facts.rows + facts.blank_rows:
        raise BadInput(
            f"{path} has {facts.rows + facts.blank_rows:,} rows, and {rows:,} were read. {_QUOTES}"
        )


def _header(path: Path) -> tuple[list[str], str]:
    """The names of the columns, and what stands between them: what makes the most of the first line."""
    with unpacked(path) as stream:
        head = stream.read(_HEADER_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    try:
        # a later line may be of any bytes
        text = head.decode(errors="surrogateescape")
        read = {
            one: next(csv.reader(io.StringIO(text, newline=""), delimiter=one), []) for one in _DELIMITERS
        }
        delimiter = max(_DELIMITERS, key=lambda one: len(read[one]))
        "".join(read[delimiter]).encode()
    except (UnicodeEncodeError, csv.Error) as error:
        raise BadInput(
            f"{path} has a header that cannot be read ({type(error).__name__}). Save it as CSV UTF-8; nothing was sent."
        ) from None
    if _EXCEL_SEPARATOR.match(head):
        raise BadInput(
            f"{path} begins with a line that names the separator for Excel (sep=). Delete that line: the separator is "
            "found without it; nothing was sent."
        )
    if not any(name.strip() for name in read[delimiter]):
        raise BadInput(
            f"{path} has no header: its first line must name the columns, such as job_id,prompt. Nothing was sent."
        )
    return read[delimiter], delimiter


def _counted(path: Path, columns: int, delimiter: str) -> tuple[int, int, int]:
    """How many rows it has up to the last with a value, how many after it, and how many bytes the values of the longest are.

    Raises:
        BadInput: a row has another number of values, or a quotation mark stands where none may be.
    """
    rows = last = longest = 0
    csv.field_size_limit(_MOST_BLOCK)
    # a character a byte: all that structures CSV is ASCII, and what a value is of is looked at later
    with (
        unpacked(path) as stream,
        io.TextIOWrapper(io.BufferedReader(stream, 1_000_000), "latin-1", newline="") as text,
    ):
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if row and len(row) != columns:
                    raise BadInput(
                        f"{path}: the row that ends in line {reader.line_num:,} has {len(row)} values, and the header "
                        f"names {columns} columns. {_QUOTES}"
                    )
                rows += bool(row)
                value_bytes = sum(map(len, row))
                if value_bytes:
                    last = rows
                longest = max(longest, value_bytes)
        except csv.Error:
            raise BadInput(
                f"{path} has a quotation mark that is not closed, or one inside a value, up to line "
                f"{reader.line_num:,}. {_QUOTES}"
            ) from None
    return last - 1, rows - last, longest


@contextmanager
def _reader(path: Path, facts: FileFacts, columns: Sequence[str]) -> Iterator[arrow_csv.CSVStreamingReader]:
    """The record batches of a file, all columns as text that may be of any bytes."""
    with (
        unpacked(path) as stream,
        arrow_csv.open_csv(
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
        ) as reader,
    ):
        yield reader
