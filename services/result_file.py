"""Result files: Parquet, in parts. A part is written aside and renamed, so that a reader never sees half of one."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.errors import BadInput, RunFailed

#: rows that are objects of Python at a time while a part is made
_ROWS_AS_OBJECTS = 1_000
#: exact USD with nine places
USD: pa.DataType = pa.decimal128(20, 9)


class NotWritten(RunFailed):
    """A file could not be written, as where the disk is full; nothing of it is left.

    Attributes:
        why: in the system's words.
    """

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} could not be written ({why}). What was counted, paid for and answered is in the ledger. Make room "
            "there, or name another folder with --results, and repeat the command: nothing is paid for twice."
        )
        self.why = why


def get_ready_to_write() -> None:
    """Let Arrow import what it imports when it first makes a column of objects of Python: pandas, which takes 0.2 s."""
    pa.array([None], pa.string())


def writable_folder(folder: Path) -> Path:
    """A folder that results can be written to, made if it is not there.

    Raises:
        BadInput: it cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise BadInput(
            f"Results cannot be written to {folder} ({error.strerror or type(error).__name__}). Nothing was counted or "
            "sent; name another folder with --results or WEIGHBRIDGE_RESULTS."
        ) from error


def write_parts(
    folder: Path, stem: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]], size: int
) -> list[Path]:
    """Write rows as `folder/stem-00000.parquet` and so on, at most `size` rows a part.

    Args:
        folder: created when it is not there.
        stem: the parts' common name.
        size: rows a part; one part is held in memory at a time, as Arrow has it.

    Returns:
        The parts. There is always one, be it without rows: an empty result has its columns too.
    """
    parts: list[Path] = []
    iterator = iter(rows)
    for number in count():
        part = _part(iterator, schema, size)
        if not part.num_rows and parts:
            return parts
        parts.append(_write(folder / f"{stem}-{number:05d}.parquet", part))
        if part.num_rows < size:
            return parts
    raise AssertionError("unreachable")


def _part(rows: Iterator[Mapping[str, Any]], schema: pa.Schema, size: int) -> pa.Table:
    """The next rows, at most this many, as a table; few of them at a time are objects of Python, which are large."""
    batches: list[pa.RecordBatch] = []
    left = size
    while chunk := list(islice(rows, min(left, _ROWS_AS_OBJECTS))):
        batches.append(pa.RecordBatch.from_pylist(chunk, schema=schema))
        left -= len(chunk)
    return pa.Table.from_batches(batches, schema=schema).combine_chunks()


@contextmanager
def growing_file(path: Path, schema: pa.Schema) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
    """A function that adds rows to a Parquet file, which has its name only once all of them are in.

    Args:
        path: its name; its folder is made when it is not there.
        schema: of its rows.
    """
    aside = path.with_suffix(".parquet.writing")
    with _writing(path, aside):
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = pq.ParquetWriter(aside, schema, compression="zstd")

    def write(rows: Sequence[Mapping[str, Any]]) -> None:
        with _writing(path, aside):
            writer.write_table(pa.Table.from_pylist(list(rows), schema=schema))

    try:
        yield write
    finally:
        with _writing(path, aside):
            writer.close()
    with _writing(path, aside):
        aside.replace(path)


@contextmanager
def _writing(path: Path, aside: Path) -> Iterator[None]:
    """A file is written aside; where that fails, what is of it goes, so that a full disk has room again.

    Args:
        path: what it is to be called.
        aside: what it is called meanwhile.

    Raises:
        NotWritten: it could not be written.
    """
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        # Arrow puts words of its own before those of the system
        why = os.strerror(error.errno) if error.errno else type(error).__name__
        raise NotWritten(path, why) from error


def read_parts(folder: Path, stem: str, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """These columns of the rows of all parts of a stem, in the order in which they were written, streamed.

    Raises:
        OSError: a part cannot be read.
        pyarrow.ArrowException: a part is no Parquet file, or lacks a column.
    """
    for part in _parts(folder, stem):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(columns=list(columns), batch_size=10_000):
                yield from batch.to_pylist()


def count_rows(folder: Path, stem: str) -> int:
    """How many rows all parts of a stem have together; raises as `read_parts`."""
    return sum(pq.read_metadata(part).num_rows for part in _parts(folder, stem))


def _parts(folder: Path, stem: str) -> list[Path]:
    return sorted(folder.glob(f"{stem}-*.parquet"))


def _write(path: Path, table: pa.Table) -> Path:
    aside = path.with_suffix(".parquet.writing")
    with _writing(path, aside):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, aside, compression="zstd")
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        return aside.replace(path)


def write_text(path: Path, text: str) -> Path:
    """Write a small text file aside and rename it."""
    return write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> Path:
    """Write a small file aside and rename it."""
    aside = path.with_name(path.name + ".writing")
    with _writing(path, aside):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        return aside.replace(path)
