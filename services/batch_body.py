"""The request that creates a batch, kept on disk: a batch may weigh 256 MB, and several are made and sent at a time."""

import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any, Self

import orjson

from schemas.errors import RunFailed
from services.whole_thread import on_whole_thread

#: of a body that is smaller than this, nothing is written to disk; bytes
_SPOOL_BYTES = 1_000_000
#: what is read of it and handed over at a time, bytes
PIECE_BYTES = 256_000
_BEGIN, _END = b'{"requests":[', b"]}"
_ENVELOPE_BYTES = len(_BEGIN) + len(_END)


class BatchBody:
    """The items of one batch in their order, outside of memory: a file without a name, gone when this is closed.

    Used as a context manager.

    Attributes:
        size: bytes of the whole request.
    """

    def __init__(self) -> None:
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(_SPOOL_BYTES)  # noqa: SIM115 - closed by close
        #: a call that failed may still be reading when the next try begins
        self._reading = threading.Lock()
        self._end = 0
        #: where each item begins in the file, and its length, by custom_id
        self._items: dict[str, tuple[int, int]] = {}
        self.size = _ENVELOPE_BYTES

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The items, read one after the other."""
        return (orjson.loads(self._read(*place)) for place in list(self._items.values()))

    @property
    def ids(self) -> list[str]:
        """The custom_ids of its items."""
        return list(self._items)

    def size_with(self, item: bytes) -> int:
        """The size that it would have with one more item."""
        return self.size + len(item) + bool(self._items)  # the comma before it

    def add(self, custom_id: str, item: bytes) -> None:
        """Add an item.

        Args:
            custom_id: what no other item of it has.
            item: as JSON, its custom_id included.

        Raises:
            RunFailed: it could not be written.
        """
        size = self.size_with(item)
        try:
            self._file.seek(self._end)
            self._file.write(item)
            # what stays in a buffer might not find room either, and only be missed while the request leaves
            self._file.flush()
        except OSError as error:
            raise RunFailed(
                f"The request of a batch could not be written to the folder for temporary files ({error.strerror}). It was "
                "not sent. Make room there, or name another folder in TMPDIR, and run again."
            ) from error
        self._items[custom_id] = (self._end, len(item))
        self._end += len(item)
        self.size = size

    def leave_out(self, custom_ids: Collection[str]) -> None:
        """Drop items from it."""
        for custom_id in custom_ids:
            self._items.pop(custom_id, None)
        lengths = [length for _, length in self._items.values()]
        self.size = _ENVELOPE_BYTES + sum(lengths) + max(0, len(lengths) - 1)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The request, some PIECE_BYTES at a time; it may be read again."""
        pieces = self._pieces()
        while (piece := await on_whole_thread(next, pieces, None)) is not None:
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        piece = bytearray(_BEGIN)
        for number, place in enumerate(list(self._items.values())):
            piece += b"," if number else b""
            piece += self._read(*place)
            if len(piece) >= PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
        yield bytes(piece + _END)

    def _read(self, start: int, length: int) -> bytes:
        with self._reading:
            self._file.seek(start)
            return self._file.read(length)

    def close(self) -> None:
        """Give up its file, also where what it was to hold found no room."""
        with self._reading, suppress(OSError):
            self._items.clear()
            self._file.close()
