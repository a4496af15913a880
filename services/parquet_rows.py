"""Parquet files as rows of plain values, a piece of a row group at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import BadInput
from services.arrow_values import column_values
from services.row_pieces import BYTES_PER_BATCH, ROWS_DECODED, FileFacts, LeavesOut, RowPiece, damaged

#: a column is read in pieces of this many bytes, not a whole row group at once
_BUFFER_BYTES = 1_000_000


def parquet_facts(path: Path, check: Callable[[FileFacts], None]) -> FileFacts:
    """What a Parquet file has.

    Args:
        path: the file.
        check: raises where its columns are not those that are needed.

    Raises:
        BadInput: that, or it is not a whole one.
    """
    with _opened(path) as parquet:
        schema = parquet.schema_arrow
        kinds = {column.name: column.type for column in schema}
        facts = FileFacts(names=schema.names, rows=parquet.metadata.num_rows, kinds=kinds)
    check(facts)
    return facts


def parquet_pieces(
    path: Path, _facts: FileFacts, columns: Sequence[str], leaves_out: LeavesOut
) -> Iterator[RowPiece]:
    """The rows of a Parquet file, in order.

    Args:
        path: the file.
        _facts: what was found in it, which its rows do not need.
        columns: which of its columns are read.
        leaves_out: asked of each row group, which then is not decoded.

    Raises:
        BadInput: a data page is damaged.
    """
    with _opened(path) as parquet:
        try:
            first = 0
            for group in range(parquet.metadata.num_row_groups):
                numbers = range(first, first + parquet.metadata.row_group(group).num_rows)
                first = numbers.stop
                if numbers and leaves_out(numbers):
                    yield RowPiece([], 0, left_out=len(numbers))
                    continue
                for data in _decoded(parquet, group, columns):
                    yield RowPiece(rows_of(data), data.nbytes)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error


def rows_of(data: pa.RecordBatch) -> list[dict[str, object]]:
    """The rows of a record batch."""
    names = data.schema.names
    if not names:  # what the names of its folders say is all that it has
        return [{} for _ in range(data.num_rows)]
    columns = [column_values(data.column(name)) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        parquet = pq.ParquetFile(str(path), pre_buffer=False, buffer_size=_BUFFER_BYTES)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"{path} is not a whole Parquet file ({type(error).__name__}): it was cut off, or is still being written. "
            "Write or copy it again; nothing was sent."
        ) from error
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
    return max(1, min(ROWS_DECODED, int(BYTES_PER_BATCH // average)))
