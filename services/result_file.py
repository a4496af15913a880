"""Result files: Parquet out, in parts. A part is written aside and renamed, so that a reader never sees half of one."""

import os
from collections.abc import Iterable, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: exact USD with nine places
USD: pa.DataType = pa.decimal128(20, 9)


def write_parts(
    folder: Path, stem: str, schema: pa.Schema, rows: Iterable[Mapping[str, Any]], size: int
) -> list[Path]:
    """Write rows as `folder/stem-00000.parquet` and so on, at most `size` rows a part.

    Args:
        folder: created when it is not there.
        stem: the parts' common name.
        size: rows a part; one part is held in memory at a time.

    Returns:
        The parts. There is always one, be it without rows: an empty result has its columns too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts: list[Path] = []
    iterator = iter(rows)
    for number in count():
        part = list(islice(iterator, size))
        if not part and parts:
            return parts
        parts.append(
            _write(folder / f"{stem}-{number:05d}.parquet", pa.Table.from_pylist(part, schema=schema))
        )
        if len(part) < size:
            return parts
    raise AssertionError("unreachable")


def _write(path: Path, table: pa.Table) -> Path:
    aside = path.with_suffix(".parquet.writing")
    pq.write_table(table, aside, compression="zstd")
    with aside.open("rb") as file:
        os.fsync(file.fileno())
    return aside.replace(path)


def write_text(path: Path, text: str) -> Path:
    """Write a small text file aside and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".writing")
    aside.write_text(text, encoding="utf-8")
    return aside.replace(path)
