"""Changing a payload on the page, with its weight and price before and after."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import CustomView
from starlette_admin.routing import route

from review_page.forms import review_id_of, text_of, whole_of
from review_page.going_on import after_decision, origin_of, review_url
from review_page.guard import shown
from review_page.list_view import Reviews
from review_page.shortcuts import TAKE, taken
from review_page.shown_review import is_readable, kept_review
from review_page.wording import show_outcome
from schemas.errors import BadInput, WeighbridgeError
from schemas.payload.edit import Edit, NoSuchEdit
from schemas.payload.exact_json import exact_request
from schemas.payload.payload import InvalidPayload, Payload
from schemas.review import EditEstimate, ReviewDetail
from schemas.transitions import Verb
from services.ledger import Ledger, reviews

#: counts and prices a payload as it would be sent in a review's place
Weigh = Callable[[ReviewDetail, Payload], Awaitable[EditEstimate]]
#: drops as many of the oldest turns of a payload as bring it within the limits of a review's job
PruneEdit = Callable[[ReviewDetail, Payload], Awaitable[Payload]]

#: text that is data, such as a picture, from this length on; the form shows a mark in its place
_DATA_CHARACTERS = 2_000
#: the longest payload that the form offers as text, less its data
_TEXT_CHARACTERS = 250_000


def marked(payload: str) -> str | None:
    """A payload as text that a person can edit, or None when it is too long for a form."""
    request = _replaced(json.loads(payload), lambda text: _mark(text) if _is_data(text) else text)
    text = json.dumps(request, indent=2, ensure_ascii=False)
    if not text.isascii() and shown(text) != text:
        # half a character is written as its escape, else it could not be sent to a browser
        text = json.dumps(request, indent=2)
    return text if len(text) <= _TEXT_CHARACTERS else None


def unmarked(text: str, payload: str) -> dict[str, Any]:
    """An edited text as a request, its marks replaced by the data they stand for in the payload.

    Raises:
        BadInput: the text is not a JSON object.
    """
    data = {_mark(found): found for found in _texts(json.loads(payload)) if _is_data(found)}
    try:
        request = exact_request("The payload", text)
        return {
            name: _replaced(value, lambda found: data.get(found, found)) for name, value in request.items()
        }
    except RecursionError:
        raise BadInput("The payload is nested too deeply. Nothing was changed.") from None
    except InvalidPayload as error:
        raise BadInput(f"{error}. Nothing was changed.") from None


def _is_data(text: str) -> bool:
    return len(text) >= _DATA_CHARACTERS and " " not in text


def _mark(text: str) -> str:
    return f"[{len(text):,} characters of data, kept as they are: {hashlib.sha256(text.encode()).hexdigest()[:24]}]"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _replaced(value: Any, how: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return how(value)
    if isinstance(value, dict):
        return {name: _replaced(inner, how) for name, inner in value.items()}
    return [_replaced(inner, how) for inner in value] if isinstance(value, list) else value


class Editing(CustomView):
    """The page on which a payload is changed.

    Args:
        ledger: the ledger.
        pages: what renders pages.
        weigh: counts and prices a changed payload.
        prune: prunes one; None: it is not offered.
    """

    path = "/edit"
    add_to_menu = False

    def __init__(self, ledger: Ledger, pages: Reviews, weigh: Weigh, prune: PruneEdit | None) -> None:
        super().__init__()
        self._ledger, self._pages, self._weigh, self._prune = ledger, pages, weigh, prune

    @route("", methods=["GET"], name="edit-review")
    async def index(self, request: Request) -> Response:
        """The form, as the payload is."""
        review, standing = await self._review(request.query_params.get("pk"))
        advised = taken(review.would_pass, "edit", request.query_params.get(TAKE))
        fields = dict(advised.fields) if advised else {}
        return self._shown(request, review, text=marked(standing), origin=origin_of(request), **fields)

    @route("", methods=["POST"], name="edited-review")
    async def weighed(self, request: Request) -> Response:
        """The form with what its changes come to, or, when they are confirmed, the decision."""
        form = await request.form()
        review, standing = await self._review(text_of(form, "id"))
        fields: dict[str, Any] = {name: text_of(form, name) for name in ("max_tokens", "keep_turns", "note")}
        fields["origin"] = origin_of(request, form.get("origin", ""))
        fields |= {"text": form.get("text")} | {
            name: bool(form.get(name)) for name in ("drop_tools", "prune")
        }
        try:
            payload = _edited(form, standing)
            if fields["prune"] and self._prune is not None:
                payload = await self._prune(review, payload)
            figures = await self._weigh(review, payload)
            if text_of(form, "verb") != "save":
                return self._shown(request, review, figures=figures, max_output=payload.max_tokens, **fields)
            decide = partial(
                reviews.edit,
                self._ledger,
                review.id,
                request.state.admin_user.username,
                payload,
                figures,
                note=fields["note"] or None,
                version=whole_of(form, "version"),
            )
            # before the decision: the order is by what the review was
            following = await after_decision(request, self._ledger, review.id, fields["origin"])
            decided = await anyio.to_thread.run_sync(decide)
        except (InvalidPayload, NoSuchEdit, WeighbridgeError) as error:
            return self._shown(request, review, error=str(error), **fields)
        show_outcome(request, Verb.EDIT, decided)
        if not decided.changed:
            following = review_url(request, review.id, fields["origin"])
        return RedirectResponse(following, 303)

    async def _review(self, given: str | None) -> tuple[ReviewDetail, str]:
        """The review that an address names, and what would be sent as it stands."""
        review_id = review_id_of(given)
        if review_id is None:
            raise HTTPException(404)
        review = await anyio.to_thread.run_sync(kept_review, self._ledger, review_id)
        if review is None or not review.payload:
            raise HTTPException(404)
        standing = review.edited_payload or review.payload
        if not is_readable(standing):
            raise HTTPException(
                409,
                "What is stored of this job cannot be read as a request any more, so it cannot be edited. Nothing "
                "was changed; its review can be rejected.",
            )
        return review, standing

    def _shown(self, request: Request, review: ReviewDetail, **context: Any) -> Response:
        fixed = {
            "review": review,
            "may_prune": self._prune is not None,
            "review_url": review_url(request, review.id, context["origin"]),
        }
        return self._pages.page(request, "review_edit.html", fixed | context)


def _edited(form: FormData, standing: str) -> Payload:
    """The payload that a form asks for.

    Raises:
        BadInput: a field cannot be read.
        InvalidPayload: the API would refuse it.
        NoSuchEdit: it does not take such a change.
    """
    text = form.get("text")
    change = Edit(
        whole=unmarked(text, standing) if isinstance(text, str) and text.strip() else None,
        max_tokens=whole_of(form, "max_tokens"),
        keep_turns=whole_of(form, "keep_turns"),
        drop_tools=bool(form.get("drop_tools")),
    )
    if change.whole is not None:
        Payload.checked(change.whole)
    return Payload.checked(change.of(json.loads(standing)))
