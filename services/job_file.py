"""Job files: Parquet in, as rows of plain values. Memory grows neither with the rows nor with the files."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from schemas.errors import BadInput, NoJobs
from schemas.payload.exact_json import Unfit
from schemas.row import Row
from services.arrow_values import column_values, is_json, is_uuid, unwrapped
from services.job_paths import InputFile, find_files

#: the most rows handed on together, and the bytes of Arrow data from which on no further ones are added to them
ROWS_PER_BATCH = 500
BYTES_PER_BATCH = 16_000_000
#: the most rows decoded together: how large they are is known only then
_ROWS_DECODED = 100
#: a column is read in pieces of this many bytes, not a whole row group at once
_BUFFER_BYTES = 1_000_000

Kind = Callable[[pa.DataType], bool]


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    return any(is_of(kind) for is_of in (*lists, kinds.is_list_view, kinds.is_large_list_view))


def _is_json_text(kind: pa.DataType) -> bool:
    return _is_text(kind) or is_json(kind)


def _is_struct(kind: pa.DataType) -> bool:
    return bool(kinds.is_struct(kind) or kinds.is_map(kind))


_NUMBER: dict[str, Kind] = {"whole numbers": kinds.is_integer, "numbers": kinds.is_floating}
_TEXT: dict[str, Kind] = {"text": _is_text}
_NESTED_LIST: dict[str, Kind] = {"JSON text": _is_json_text, "lists": _is_list}
_NESTED_OBJECT: dict[str, Kind] = {"JSON text": _is_json_text, "structs": _is_struct}

#: every column that is read, and what it may hold; other columns are left alone
COLUMNS: dict[str, dict[str, Kind]] = {
    "job_id": {"text": _is_text, "whole numbers": kinds.is_integer, "UUIDs": is_uuid},
    "prompt": _TEXT,
    "messages": _NESTED_LIST,
    "system": {"text": _is_json_text, "lists": _is_list},
    "tools": _NESTED_LIST,
    "tool_choice": _NESTED_OBJECT,
    "thinking": _NESTED_OBJECT,
    "output_config": _NESTED_OBJECT,
    "metadata": _NESTED_OBJECT,
    "stop_sequences": _NESTED_LIST,
    "params": _NESTED_OBJECT,
    "max_tokens": _NUMBER,
    "max_input_tokens": _NUMBER,
    "priority": _NUMBER,
    "max_cost_usd": {**_NUMBER, "decimals": kinds.is_decimal, "text": _is_text},
    "model": _TEXT,
    "group": _TEXT,
}
_WHOLE_NUMBERS = frozenset(name for name, takes in COLUMNS.items() if takes is _NUMBER)
_DIFFERS = Unfit("differs from the folder that its file lies in; make the two agree, or leave the column out")


@dataclass(frozen=True, slots=True)
class _Checked:
    """A file that was looked at: which columns of it are read, and how many rows it had."""

    file: InputFile
    columns: Sequence[str]
    rows: int


class JobFile:
    """Parquet files whose columns have been checked. One of them is open at a time.

    Args:
        path: a Parquet file, a folder of them, or a glob.

    Raises:
        NoJobs: nothing is there, or it has no rows.
        BadInput: it is not Parquet, or a column is missing or of a wrong type.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._files: list[_Checked] = []
        ignored: set[str] = set()
        for file in find_files(path, COLUMNS):
            with _opened(file) as parquet:
                schema = parquet.schema_arrow
                _check_columns(file, schema)
                columns = [column for column in schema.names if column in COLUMNS]
                ignored.update(set(schema.names) - set(COLUMNS))
                self._files.append(_Checked(file, columns, parquet.metadata.num_rows))
        self.rows = sum(checked.rows for checked in self._files)
        if self.rows == 0:
            raise NoJobs(f"{path} has no rows: there is nothing to do.")
        self.ignored_columns = sorted(ignored)

    def batches(self, limit: int | None = None) -> Iterator[list[Row]]:
        """The rows in order, at most `ROWS_PER_BATCH` at a time, and fewer where they are large.

        Args:
            limit: only the first rows, at most this many.

        Raises:
            BadInput: a data page is damaged, or a file is no longer the one that was checked.
        """
        left = self.rows if limit is None else limit
        rows: list[Row] = []
        held_bytes = 0
        for part in self._parts():
            if left <= 0:
                break
            new = _rows_of(part.data.slice(0, left), part.folder_values)
            left -= len(new)
            if rows and len(rows) + len(new) > ROWS_PER_BATCH:
                yield rows
                rows, held_bytes = [], 0
            rows += new
            held_bytes += part.data.nbytes
            if held_bytes >= BYTES_PER_BATCH:
                yield rows
                rows, held_bytes = [], 0
        if rows:
            yield rows

    def digest(self, limit: int | None = None) -> str:
        """SHA-256 of the files' contents, in order, and of the limit: the same rows have the same.

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
        return whole.hexdigest()

    def _parts(self) -> Iterator["_FilePart"]:
        for checked in self._files:
            with _opened(checked.file) as parquet:
                if parquet.metadata.num_rows != checked.rows:
                    raise BadInput(f"{checked.file.path} was changed while it was read; nothing was sent.")
                try:
                    for group in range(parquet.metadata.num_row_groups):
                        for data in _decoded(parquet, group, checked.columns):
                            yield _FilePart(data, checked.file.folder_values)
                except (pa.ArrowException, OSError) as error:
                    raise BadInput(
                        f"{checked.file.path} is damaged ({type(error).__name__}); nothing was sent."
                    ) from error


@dataclass(frozen=True, slots=True)
class _FilePart:
    """Some rows of a file, as Arrow has them."""

    data: pa.RecordBatch
    folder_values: Mapping[str, str | None]


@contextmanager
def _opened(file: InputFile) -> Iterator[pq.ParquetFile]:
    try:
        if not file.path.is_file():
            raise BadInput(f"{file.path} is not a file.")
        parquet = pq.ParquetFile(str(file.path), pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{file.path} is not a whole Parquet file ({type(error).__name__}).") from error
    with parquet:
        yield parquet


def _decoded(parquet: pq.ParquetFile, group: int, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a row group, as many at a time as are not too large together.

    Arrow cannot hold two gigabytes of nested text in one batch. Where rows are much larger than those around them, it
    says so, and the rest of the group is read row by row.
    """
    whole = parquet.metadata.row_group(group)
    size, done = _rows_at_once(whole, columns), 0
    while True:
        seen = 0
        try:
            for data in parquet.iter_batches(batch_size=size, row_groups=[group], columns=list(columns)):
                seen += data.num_rows
                if seen > done:
                    yield data.slice(max(0, data.num_rows - (seen - done)))
                    done = seen
        except (pa.ArrowNotImplementedError, pa.ArrowCapacityError):
            if size == 1:
                raise
            size = 1
        else:
            return


def _rows_at_once(group: pq.RowGroupMetaData, columns: Sequence[str]) -> int:
    chunks = (group.column(at) for at in range(group.num_columns))
    size = sum(
        chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".", 1)[0] in columns
    )
    average = size // max(1, group.num_rows) + 1
    return max(1, min(_ROWS_DECODED, int(BYTES_PER_BATCH // average)))


def _check_columns(file: InputFile, schema: pa.Schema) -> None:
    names = {*schema.names, *file.folder_values}
    if len(set(schema.names)) < len(schema.names):
        raise BadInput(f"{file.path} has two columns of the same name.")
    if "job_id" not in names:
        raise BadInput(f"{file.path} has no column job_id.")
    if not {"prompt", "messages"} & names:
        raise BadInput(f"{file.path} has neither a column prompt nor a column messages.")
    for column in schema:
        allowed = COLUMNS.get(column.name)
        kind = unwrapped(column.type)
        if allowed and not kinds.is_null(kind) and not any(fits(kind) for fits in allowed.values()):
            raise BadInput(
                f"{file.path}: column {column.name} holds {kind}; it takes {' or '.join(allowed)}."
            )


def _rows_of(data: pa.RecordBatch, folder_values: Mapping[str, str | None]) -> list[Row]:
    columns = {name: column_values(data.column(name)) for name in data.schema.names}
    for name, written in folder_values.items():
        own = columns.get(name, [None] * data.num_rows)
        columns[name] = [_agreed(name, value, written) for value in own]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _agreed(name: str, own: Any, written: str | None) -> Any:
    """A row's value of a column that its folder gives one too: the folder's where the row has none."""
    if own is None or (isinstance(own, float) and math.isnan(own)):
        return _folder_value(name, written)
    if written is not None and _is_same(own, written):
        return own
    return own if isinstance(own, Unfit) else _DIFFERS


def _folder_value(name: str, written: str | None) -> Any:
    if written is None or name not in _WHOLE_NUMBERS:
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
