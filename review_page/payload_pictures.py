"""The pictures of a payload, each at an address of its own: a page of text loads none of them."""

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import CustomView
from starlette_admin.routing import route

from review_page.conversation import SHOWN_IMAGES, picture_mark
from review_page.forms import review_id_of
from review_page.shown_review import kept_review
from services.ledger import Ledger


def picture_of(payload: str | None, mark: str) -> tuple[str, bytes] | None:
    """A picture of a payload, as its media type and bytes; None where it has none of this mark that is ever shown."""
    try:
        for media, data in _pictures(json.loads(payload or "")):
            if picture_mark(data) == mark:
                return media, base64.b64decode(data, validate=True)
    except (ValueError, RecursionError, binascii.Error):
        return None
    return None


def _pictures(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for inner in value:
            yield from _pictures(inner)
    elif isinstance(value, dict):
        media, data = value.get("media_type"), value.get("data")
        if media in SHOWN_IMAGES and isinstance(data, str):
            yield media, data
        for inner in value.values():
            yield from _pictures(inner)


class Pictures(CustomView):
    """The addresses of pictures.

    Args:
        ledger: the ledger.
    """

    path = "/picture"
    add_to_menu = False

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    @route("", methods=["GET"], name="picture")
    async def index(self, request: Request) -> Response:
        """One picture, as its own media type: a browser shows it and runs nothing in it."""
        review_id, mark = review_id_of(request.query_params.get("pk")), request.query_params.get("of", "")
        found = None
        if review_id is not None:
            found = await anyio.to_thread.run_sync(self._found, review_id, mark)
        if found is None:
            raise HTTPException(404, "There is no such picture.")
        return Response(found[1], media_type=found[0])

    def _found(self, review_id: int, mark: str) -> tuple[str, bytes] | None:
        kept = kept_review(self._ledger, review_id)
        if kept is None:
            return None
        return picture_of(kept.standing, mark) or picture_of(kept.payload, mark)
