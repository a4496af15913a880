"""Job files: Parquet, CSV or JSON Lines in, as rows of plain values. Memory grows neither with the rows nor with the files."""

import hashlib
import json
import math
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from rules.map_row import mapped_row
from schemas.errors import BadInput, NoJobs
from schemas.payload.exact_json import NOT_UTF8, Unfit
from schemas.policy_sections import JobColumns
from schemas.row import Row, RowFiles
from services.csv_rows import csv_facts, csv_pieces
from services.job_columns import COLUMNS, WHOLE_NUMBERS, InputColumns
from services.job_format import JobFormat
from services.job_paths import InputFile, find_files
from services.json_rows import json_facts, json_pieces
from services.parquet_rows import parquet_facts, parquet_pieces
from services.row_pieces import BYTES_PER_BATCH, FileFacts, LeavesOut, RowPiece, changed, file_stamp

#: the most rows handed on together
ROWS_PER_BATCH = 500
#: the columns of a job in which empty text is text
_MAY_BE_EMPTY = frozenset({"job_id", "prompt", "system"})
#: how pandas calls the column that it writes the numbers of its rows to
_PANDAS_INDEX = "__index_level_"
_OTHER_ENCODING = Unfit(f"{NOT_UTF8.reason}; save the file as CSV UTF-8")
_DIFFERS = Unfit("differs from the folder that its file lies in; make the two agree, or leave the column out")

#: a row with its number, counted from 0 over all files
NumberedRow = tuple[int, Row]
#: which rows of a range are read
Wanted = Callable[[range], Container[int]]
_Facts = Callable[[Path, Callable[[FileFacts], None]], FileFacts]
_Pieces = Callable[[Path, FileFacts, Sequence[str], LeavesOut], Iterator[RowPiece]]
_READERS: dict[JobFormat, tuple[_Facts, _Pieces]] = {
    JobFormat.PARQUET: (parquet_facts, parquet_pieces),
    JobFormat.CSV: (csv_facts, csv_pieces),
    JobFormat.JSON_LINES: (json_facts, json_pieces),
}


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file that was looked at, what it has, which columns of it are read, and by what a change is noticed."""

    file: InputFile
    facts: FileFacts
    columns: Sequence[str]
    stamp: tuple[int, int]

    @property
    def is_unchanged(self) -> bool:
        """Whether it is still the file that was looked at."""
        try:
            return file_stamp(self.file.path) == self.stamp
        except OSError:
            return False

    def pieces(self, leaves_out: LeavesOut) -> Iterator[RowPiece]:
        """Its rows, as long as it is the file that was looked at.

        Rows of another content would stand under the digest of this one; and what a reader cannot make out of another
        content is no damage.

        Args:
            leaves_out: whether none of the rows of a range is wanted; where the format allows it, they are not decoded.

        Raises:
            BadInput: it was changed, or cannot be read to its end.
        """
        self._assert_unchanged()
        try:
            _, read = _READERS[self.file.format]
            for piece in read(self.file.path, self.facts, self.columns, leaves_out):
                self._assert_unchanged()
                yield piece
        except BadInput:
            self._assert_unchanged()
            raise
        # one that was cut off between two pieces has no piece that says so
        self._assert_unchanged()

    def _assert_unchanged(self) -> None:
        if not self.is_unchanged:
            raise changed(self.file.path)


def all_rows(numbers: range) -> Container[int]:
    """Every row of a range is wanted."""
    return numbers


class JobFile:
    """Job files whose columns have been checked. One of them is open at a time.

    Args:
        path: a job file, a folder of them, or a glob.
        columns: where a job stands in their columns.
        keep: columns that are kept for the results.

    Raises:
        NoJobs: nothing is there, or it has no rows.
        BadInput: it is not what its name says, or a column is missing or of a wrong type.
    """

    def __init__(self, path: str, columns: JobColumns | None = None, keep: Sequence[str] = ()) -> None:
        self.path = path
        self._input = InputColumns(columns or JobColumns(), keep)
        self._files: list[_Checked] = []
        ignored: set[str] = set()
        for file in find_files(path, self._input.names):
            stamp = file_stamp(file.path)
            look, _ = _READERS[file.format]
            facts = look(file.path, partial(self._input.check, file))
            read = [column for column in facts.names if column in self._input.names]
            ignored.update(set(facts.names) - self._input.names)
            self._files.append(_Checked(file, facts, read, stamp))
        self.rows = sum(checked.facts.rows for checked in self._files)
        if self.rows == 0:
            raise NoJobs(f"{path} has no rows: there is nothing to do.")
        self.ignored_columns = sorted(name for name in ignored if name and not name.startswith(_PANDAS_INDEX))

    @property
    def row_files(self) -> RowFiles:
        """Which file has which rows."""
        ends = accumulate(checked.facts.rows for checked in self._files)
        return RowFiles([str(checked.file.path) for checked in self._files], list(ends))

    def is_unchanged(self, path: Path) -> bool:
        """Whether one of the files is still the one that was looked at."""
        return next(checked for checked in self._files if checked.file.path == path).is_unchanged

    def batches(self, limit: int | None = None) -> Iterator[list[Row]]:
        """The rows of the jobs in order, without their numbers; see `numbered`."""
        for rows in self.numbered(limit):
            yield [row for _, row in rows]

    def numbered(self, limit: int | None = None, wanted: Wanted = all_rows) -> Iterator[list[NumberedRow]]:
        """The rows of the jobs in order, at most `ROWS_PER_BATCH` at a time, and fewer where they are large.

        Args:
            limit: only the first rows, at most this many.
            wanted: which of them.

        Raises:
            BadInput: a file is damaged, or is no longer the one that was checked.
        """
        end = self.rows if limit is None else min(limit, self.rows)
        rows: list[NumberedRow] = []
        first = held_bytes = 0
        for piece in self._pieces(end, wanted):
            numbers = range(first, min(first + len(piece.rows) + piece.left_out, end))
            if not numbers:
                break
            first = numbers.stop
            if piece.left_out:
                continue
            chosen = wanted(numbers)
            new = [
                (number, row) for number, row in zip(numbers, piece.rows, strict=False) if number in chosen
            ]
            if rows and len(rows) + len(new) > ROWS_PER_BATCH:
                yield rows
                rows, held_bytes = [], 0
            rows += [(number, self._mapped(row)) for number, row in new]
            held_bytes += piece.nbytes if new else 0
            if held_bytes >= BYTES_PER_BATCH:
                yield rows
                rows, held_bytes = [], 0
        if rows:
            yield rows

    def digest(self, limit: int | None = None) -> str:
        """SHA-256 of the files' contents, in order, of what their folders say of them, and of the limit.

        The same rows have the same.

        Raises:
            BadInput: a file cannot be read any more.
        """
        whole = hashlib.sha256(f"{limit}".encode())
        for checked in self._files:
            try:
                with checked.file.path.open("rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise BadInput(f"{checked.file.path} cannot be read ({error.strerror}).") from error
            if checked.file.folder_values:
                whole.update(json.dumps(checked.file.folder_values, sort_keys=True).encode())
        return whole.hexdigest()

    def _mapped(self, row: Row) -> Row:
        return mapped_row(row, self._input.columns, self._input.keep, self._input.extra)

    def _pieces(self, end: int, wanted: Wanted) -> Iterator[RowPiece]:
        """The rows of all files, with the values of their folders, as each format has them."""
        first = 0
        for checked in self._files:
            pieces = checked.pieces(partial(_none_is_wanted, wanted, first, end))
            first += checked.facts.rows
            for piece in pieces:
                for row in piece.rows:
                    self._complete(row, checked.file)
                yield piece

    def _complete(self, row: dict[str, Any], file: InputFile) -> None:
        """Read the texts of CSV as what they stand for, look at the values of JSON, and put in those of the folders."""
        if file.format is JobFormat.CSV:
            for name, value in row.items():
                row[name] = _csv_value(name, value)
        elif file.format is JobFormat.JSON_LINES:
            self._input.refuse_others(row)
        for name, written in file.folder_values.items():
            row[name] = _agreed(name, row.get(name), written)


def _none_is_wanted(wanted: Wanted, first: int, end: int, numbers: range) -> bool:
    """Whether none of the rows of a file is wanted that have these numbers in it.

    They are asked for a few at a time, and no further than to the first that is: what is known of all rows of a large
    group takes memory.

    Args:
        wanted: which rows of all files are.
        first: the number of the file's first row among those of all files.
        end: no row from this number on is.
        numbers: in the file.
    """
    within = range(first + numbers.start, min(first + numbers.stop, end))
    for start in range(within.start, within.stop, ROWS_PER_BATCH):
        asked = range(start, min(start + ROWS_PER_BATCH, within.stop))
        chosen = wanted(asked)
        if any(number in chosen for number in asked):
            return False
    return True


def _csv_value(name: str, written: Any) -> Any:
    """What a text stands for in a column of a job; other columns are text."""
    if written is NOT_UTF8:
        return _OTHER_ENCODING
    if not isinstance(written, str) or name not in COLUMNS or name in _MAY_BE_EMPTY:
        return written
    if not written.strip():
        return None
    if name not in WHOLE_NUMBERS:
        return written
    try:
        number = Decimal(written.strip())
        is_whole = number == number.to_integral_value() and number.adjusted() < 20
    except InvalidOperation:
        is_whole = False
    return int(number) if is_whole else Unfit("is not a whole number")


def _agreed(name: str, own: Any, written: str | None) -> Any:
    """A row's value of a column that its folder gives one too: the folder's where the row has none."""
    if own is None or (isinstance(own, float) and math.isnan(own)):
        return _folder_value(name, written)
    if written is not None and _is_same(own, written):
        return own
    return own if isinstance(own, Unfit) else _DIFFERS


def _folder_value(name: str, written: str | None) -> Any:
    if written is None or name not in WHOLE_NUMBERS:
        return written
    try:
        return int(written)
    except ValueError:
        return Unfit("is not a whole number in the name of the folder")


def _is_same(own: Any, written: str) -> bool:
    if isinstance(own, str):
        return own.strip() == written.strip()
    if not isinstance(own, int | float | Decimal):
        return False
    try:
        return Decimal(str(own)) == Decimal(written)
    except InvalidOperation:
        return False
