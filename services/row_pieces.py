"""What every reader of job files gives: what a file has, and its rows in pieces that fit into memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from schemas.errors import BadInput

#: bytes of data from which on no further rows are added to those in memory
BYTES_PER_BATCH = 16_000_000
#: the most rows decoded together: how large they are is known only then
ROWS_DECODED = 100
#: whether none of the rows of a range of a file is wanted, so that they need not be decoded
LeavesOut = Callable[[range], bool]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What was found in a file.

    Attributes:
        names: its columns, in their order.
        rows: how many rows it has.
        kinds: the type of each column, where the file says it; where not, values are looked at row by row.
        block_bytes: how much of it is parsed together, so that its longest row fits.
        delimiter: what stands between the values of a row.
        blank_rows: how many rows without any value stand at its end; they are none of its rows.
    """

    names: Sequence[str]
    rows: int
    kinds: Mapping[str, pa.DataType] = field(default_factory=dict)
    block_bytes: int = 0
    delimiter: str = ","
    blank_rows: int = 0


@dataclass(frozen=True, slots=True)
class RowPiece:
    """Some rows of a file, by the names of its columns, and how many bytes they were.

    Attributes:
        left_out: in their place, so many rows were not decoded, because none of them is wanted.
    """

    rows: list[dict[str, Any]]
    nbytes: int
    left_out: int = 0


#: what PyArrow reads through, by the ending of a name
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@contextmanager
def unpacked(path: Path) -> Iterator[pa.NativeFile]:
    """The bytes of a file, unpacked where its name says that it is packed."""
    with pa.input_stream(str(path), compression=COMPRESSIONS.get(path.suffix.lower())) as stream:
        yield stream


def file_stamp(path: Path) -> tuple[int, int]:
    """The size of a file in bytes, and the moment of its last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def changed(path: Path) -> BadInput:
    """The refusal of a file that is not the one that was checked."""
    return BadInput(
        f"{path} was changed or taken away while it was read; nothing was sent. Run again when it is complete."
    )


def damaged(path: Path, error: Exception) -> BadInput:
    """The refusal of a file whose data cannot be read to its end."""
    return BadInput(
        f"{path} is damaged ({type(error).__name__}): it cannot be read to its end. Write or copy it again; nothing was "
        "sent."
    )
