"""Job files: Parquet in, as plain rows. A file, a folder of them, or a glob; memory does not grow with rows."""

import glob
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as kinds

from schemas.errors import BadInput

ROWS_PER_BATCH = 500

Kind = Callable[[pa.DataType], bool]


def _is_text(kind: pa.DataType) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


_NUMBER: dict[str, Kind] = {"whole numbers": kinds.is_integer, "numbers": kinds.is_floating}
_TEXT: dict[str, Kind] = {"text": _is_text}
_NESTED_LIST: dict[str, Kind] = {"JSON text": _is_text, "lists": _is_list}
_NESTED_OBJECT: dict[str, Kind] = {"JSON text": _is_text, "structs": kinds.is_struct}

#: every column that is read, and what it may hold; other columns are left alone
COLUMNS: dict[str, dict[str, Kind]] = {
    "job_id": {"text": _is_text, "whole numbers": kinds.is_integer},
    "prompt": _TEXT,
    "messages": _NESTED_LIST,
    "system": {"text": _is_text, "lists": _is_list},
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


class JobFile:
    """Parquet files whose columns have been checked.

    Args:
        path: a Parquet file, a folder of them, or a glob.

    Raises:
        BadInput: nothing is there, it is not Parquet, it has no rows, or a column is missing or of a wrong type.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._files = [_opened(file) for file in _found(path)]
        for name, file in self._files:
            _check_columns(name, file.schema_arrow)
        self.rows = sum(file.metadata.num_rows for _, file in self._files)
        if self.rows == 0:
            raise BadInput(f"{path} has no rows: there is nothing to do.")
        self.ignored_columns = sorted(
            {c for _, file in self._files for c in file.schema_arrow.names} - set(COLUMNS)
        )

    def batches(self, limit: int | None = None) -> Iterator[list[dict[str, Any]]]:
        """The rows in order, some hundreds at a time, as plain values. A value that is no UTF-8 text is a `bytes`.

        Args:
            limit: only the first so many rows.

        Raises:
            BadInput: a data page is damaged.
        """
        left = self.rows if limit is None else limit
        for name, file in self._files:
            columns = [column for column in file.schema_arrow.names if column in COLUMNS]
            try:
                for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, columns=columns):
                    if left <= 0:
                        return
                    part = batch.slice(0, left)
                    left -= part.num_rows
                    yield _plain(part)
            except (pa.ArrowException, OSError) as error:
                raise BadInput(f"{name} is damaged ({type(error).__name__}); nothing was sent.") from error


def _found(path: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        files = sorted(place.glob("**/*.parquet"))
        if not files:
            raise BadInput(f"The folder {path} has no .parquet file.")
        return files
    files = [Path(match) for match in sorted(glob.glob(path, recursive=True))] or [place]  # noqa: PTH207 - any path
    if not files[0].exists():
        raise BadInput(f"There is no file {path}.")
    return files


def _opened(file: Path) -> tuple[str, pq.ParquetFile]:
    try:
        return str(file), pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{file} is not a whole Parquet file ({type(error).__name__}).") from error


def _check_columns(name: str, schema: pa.Schema) -> None:
    if len(set(schema.names)) < len(schema.names):
        raise BadInput(f"{name} has two columns of the same name.")
    if "job_id" not in schema.names:
        raise BadInput(f"{name} has no column job_id.")
    if not {"prompt", "messages"} & set(schema.names):
        raise BadInput(f"{name} has neither a column prompt nor a column messages.")
    for column in schema:
        allowed = COLUMNS.get(column.name)
        kind = column.type.value_type if kinds.is_dictionary(column.type) else column.type
        if allowed and not kinds.is_null(kind) and not any(fits(kind) for fits in allowed.values()):
            raise BadInput(f"{name}: column {column.name} holds {kind}; it takes {' or '.join(allowed)}.")


def _plain(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        return list(batch.to_pylist())
    except UnicodeDecodeError:  # one bad value must not stop the others
        return [_plain_row(batch.slice(index, 1)) for index in range(batch.num_rows)]


def _plain_row(row: pa.RecordBatch) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in row.schema.names:
        try:
            values[name] = row.column(name)[0].as_py()
        except UnicodeDecodeError as error:
            values[name] = error.object
    return values
