"""The files of a run: what the API states of each. Their bytes are not kept, since nothing hands them out again.

Source: Anthropic docs, "Files API" (2026); SDK 2.12.0, `FileMetadata` and `resources/files.py`.
"""

import itertools
import mimetypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from simulator.billing.counting import blocks_of
from simulator.checks.content_blocks import SOURCES
from simulator.http.api_errors import RefusedError, invalid
from simulator.plan.api_clock import rfc3339

#: largest accepted file, bytes. Source: Anthropic docs, "Files API" (500 MB).
MAX_FILE_BYTES = 500 * 1024 * 1024

#: how long a file may be asked to last, seconds. Source: SDK 2.12.0, `FileUploadParams`.
LIFETIMES = (3_600, 7_776_000)

#: characters that the name of a file must not have, and its most. Source: Anthropic docs, "Files API", errors.
_NAME = re.compile(r'[^<>:"|?*\\/\x00-\x1f]{1,255}')

#: what the file of a block must be. Source: Anthropic docs, "Files API", file types and content blocks.
BLOCK_TYPES = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp"),
    "document": ("application/pdf", "text/plain"),
}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file.

    Attributes:
        id: its id.
        name: as uploaded, without folders.
        mime_type: as stated by the uploader, or by its name.
        size: bytes.
        created_at: when it was uploaded.
        expires_at: when its content goes; None for never.
    """

    id: str
    name: str
    mime_type: str
    size: int
    created_at: datetime
    expires_at: datetime | None

    def shown(self) -> dict[str, Any]:
        """The file as the API's JSON object. A file that was uploaded cannot be downloaded."""
        return {
            "id": self.id,
            "type": "file",
            "filename": self.name,
            "mime_type": self.mime_type,
            "size_bytes": self.size,
            "created_at": rfc3339(self.created_at),
            "downloadable": False,
            "expires_at": None if self.expires_at is None else rfc3339(self.expires_at),
            "scope": None,
        }


class StoredFiles:
    """Every file of this run."""

    def __init__(self) -> None:
        self._run = os.urandom(6).hex()
        self._numbers = itertools.count(1)
        self._files: dict[str, StoredFile] = {}

    def add(
        self, name: str, mime_type: str | None, size: int, dates: tuple[datetime, int | None]
    ) -> StoredFile:
        """Store a file.

        Args:
            name: as uploaded; folders are left out.
            mime_type: as uploaded; None for what its name says.
            size: bytes.
            dates: when it was uploaded, and the seconds until it expires; None for never.

        Returns:
            the file.

        Raises:
            RefusedError: 400 for a name or a lifetime that the API does not take.
        """
        now, lifetime = dates
        kind = mime_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        short = PurePosixPath(name).name or f"unnamed{mimetypes.guess_extension(kind) or ''}"
        if not _NAME.fullmatch(short):
            raise invalid("file", "Invalid filename")
        if lifetime is not None and not LIFETIMES[0] <= lifetime <= LIFETIMES[1]:
            raise invalid("expires_in_seconds", f"Input should be between {LIFETIMES[0]} and {LIFETIMES[1]}")
        expires_at = None if lifetime is None else now + timedelta(seconds=lifetime)
        stored = StoredFile(
            id=f"file_sim_{self._run}{next(self._numbers):08d}",
            name=short,
            mime_type=kind,
            size=size,
            created_at=now,
            expires_at=expires_at,
        )
        self._files[stored.id] = stored
        return stored

    def newest_first(self) -> list[StoredFile]:
        """Every file that is not deleted."""
        return [*reversed(self._files.values())]

    def get(self, file_id: str) -> StoredFile:
        """A file by its id.

        Raises:
            RefusedError: 404 if there is none.
        """
        found = self._files.get(file_id)
        if found is None:
            raise RefusedError(404, "file_id: File not found")
        return found

    def delete(self, file: StoredFile) -> None:
        """Forget a file."""
        self._files.pop(file.id, None)

    def check_references(self, body: dict[str, Any]) -> None:
        """Check that the files that a request refers to exist and fit where they stand.

        Args:
            body: the checked request.

        Raises:
            RefusedError: 404 for a file that there is not, 400 for one of a type that does not fit its block.
        """
        for kind, file_id in _references(body):
            found = self.get(file_id)
            if found.mime_type not in BLOCK_TYPES[kind]:
                raise invalid("messages", f"the type of the file does not fit a block of the type {kind}")


def _references(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(type of the block, file id) of each image and document that refers to a file."""
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            continue
        for block in blocks_of(content):
            source = block.get("source") if block.get("type") in SOURCES else None
            if isinstance(source, dict) and source.get("type") == "file":
                yield block["type"], source["file_id"]
