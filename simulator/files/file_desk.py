"""The file endpoints: upload, list, metadata, delete; what was uploaded cannot be downloaded.

That an upload above the size is a 413 and that a file which expired stays listed are assumptions. A list is cut into
pages by an opaque cursor, as in API version 2026-10-21.

Source: SDK 2.12.0, `resources/files.py`, `FileNotDownloadableError`, `FileExpiredError`; Anthropic docs, "Files API".
"""

import base64
import binascii
from datetime import datetime
from typing import Any

from aiohttp import BodyPartReader, web

from simulator.faults.fault_striker import FaultStriker
from simulator.files.stored_files import MAX_FILE_BYTES, StoredFile
from simulator.http.api_call import ApiCall
from simulator.http.api_errors import RefusedError, invalid
from simulator.http.paging import page_limit
from simulator.plan.api_clock import ApiClock

#: most ids that a list can be restricted to. Source: SDK 2.12.0, `FileListParams`.
MAX_IDS = 100

NOT_DOWNLOADABLE = "file_not_downloadable"
EXPIRED = "file_expired"


class FileDesk:
    """Answers the file endpoints.

    Args:
        striker: lets faults strike.
        clock: dates files.
    """

    def __init__(self, striker: FaultStriker, clock: ApiClock) -> None:
        self._clock = clock
        self._striker = striker

    async def answer(self, call: ApiCall) -> dict[str, Any]:
        """Do what a call asks for.

        Args:
            call: a call of one of the file endpoints.

        Returns:
            the answer as a JSON object.

        Raises:
            RefusedError: if the API would refuse it, or a fault does.
            BoxPageError, Cut: if a fault answers, or cuts, beforehand.
        """
        files = call.caller.workspace.files
        if call.endpoint == "files_upload":
            name, mime_type, size, lifetime = await _uploaded(call.request)
            self._striker.strike(call, call.path)
            stored = files.add(name, mime_type, size, (self._clock.now(), lifetime))
            call.object_id = stored.id
            return stored.shown()
        if call.endpoint == "files_list":
            page = _page(files.newest_first(), call.request)
            self._striker.strike(call, call.path)
            return page
        file = files.get(call.request.match_info["id"])
        call.object_id = file.id
        if call.endpoint == "files_download":
            _refuse_download(file, self._clock.now())
        self._striker.strike(call, call.path)
        if call.endpoint == "files_delete":
            files.delete(file)
            return {"id": file.id, "type": "file_deleted"}
        return file.shown()


def _page(files: list[StoredFile], request: web.Request) -> dict[str, Any]:
    """One page of files, newest first, or those of the given ids."""
    query = request.query
    wanted = [*query.getall("ids[]", []), *query.getall("ids", [])]
    if wanted:
        if len(set(wanted)) > MAX_IDS or "page" in query or "limit" in query:
            raise invalid("ids", f"at most {MAX_IDS} ids are permitted, without page and limit")
        return {"data": [file.shown() for file in files if file.id in wanted], "next_page": None}
    if query.get("scope_id"):
        files = []  # nothing here is made by a session
    limit = page_limit(query)
    start = _after(files, query["page"]) if query.get("page") else 0
    shown = files[start : start + limit]
    more = start + limit < len(files)
    return {"data": [file.shown() for file in shown], "next_page": _cursor(shown[-1]) if more else None}


def _refuse_download(file: StoredFile, now: datetime) -> None:
    if file.expires_at is not None and file.expires_at <= now:
        raise RefusedError(404, "the file has expired", error_code=EXPIRED)
    message = "only files that a tool made can be downloaded"
    raise RefusedError(400, message, error_code=NOT_DOWNLOADABLE)


async def _uploaded(request: web.Request) -> tuple[str, str | None, int, int | None]:
    """(name, MIME type, bytes, lifetime in seconds) of an upload, whose bytes are counted and let go."""
    if not request.content_type.startswith("multipart/"):
        raise invalid("file", "Input should be multipart/form-data")
    found: tuple[str, str | None, int] | None = None
    lifetime: int | None = None
    try:
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "file":
                found = part.filename or "", part.headers.get("content-type"), await _size(part)
            elif isinstance(part, BodyPartReader) and part.name == "expires_in_seconds":
                text = (await part.read(decode=True)).decode(errors="replace").strip()
                if not text.isdecimal() or len(text) > 9:
                    raise invalid("expires_in_seconds", "Input should be a valid integer")
                lifetime = int(text)
    except ValueError as error:
        raise invalid("file", "Input should be multipart/form-data") from error
    if found is None:
        raise invalid("file", "Field required")
    return *found, lifetime


async def _size(part: BodyPartReader) -> int:
    size = 0
    while chunk := await part.read_chunk(65_536):
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise RefusedError(413, "Request exceeds the maximum size")
    return size


def _cursor(file: StoredFile) -> str:
    return "page_" + base64.urlsafe_b64encode(file.id.encode()).decode()


def _after(files: list[StoredFile], cursor: str) -> int:
    """The position after the last file of the page before."""
    try:
        last = base64.urlsafe_b64decode(cursor.removeprefix("page_").encode()).decode()
        return [file.id for file in files].index(last) + 1
    except (ValueError, binascii.Error):
        raise invalid("page", "Input should be the next_page of the page before") from None
