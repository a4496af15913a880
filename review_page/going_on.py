"""Where a person goes on: the review next to one, in the list that they came from."""

from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette_admin.helpers import safe_redirect_url

from review_page.forms import asked
from schemas.review import Filter
from services.ledger import Ledger, reviews

#: the query parameter that the library keeps a list's address in
ORIGIN = "_origin"


def origin_of(request: Request, given: Any = None) -> str | None:
    """The address of the list that a person came from, or None when it is not one of this page.

    Args:
        request: the request.
        given: what a form says; None: what the request's address says.
    """
    text = request.query_params.get(ORIGIN) if given is None else given
    if not isinstance(text, str):
        return None
    list_path = request.url_for("admin:list", key="reviews").path
    try:
        is_a_list = urlsplit(text).path == list_path and safe_redirect_url(text, request, "") == text
    except ValueError:  # not even an address
        return None
    return text if is_a_list else None


def list_filter(origin: str | None) -> Filter:
    """The filter of the list that a person came from."""
    return asked(QueryParams(urlsplit(origin or "").query))


def review_url(request: Request, review_id: int, origin: str | None) -> str:
    """The address of a review's page, which leads back to the list that a person came from."""
    url = request.url_for("admin:detail", key="reviews").include_query_params(pk=review_id)
    return str(url.include_query_params(**{ORIGIN: origin}) if origin else url)


def list_url(request: Request, origin: str | None) -> str:
    """The address of the list that a person came from, or of the whole list."""
    return origin or str(request.url_for("admin:list", key="reviews"))


async def after_decision(request: Request, ledger: Ledger, review_id: int, origin: str | None) -> str:
    """Where a person goes on after a decision: to the next pending review, or, when there is none, to the list.

    Args:
        request: the request.
        ledger: the ledger.
        review_id: the review that is to be decided.
        origin: the list that they came from: the next one is one of its filter.
    """
    around = await anyio.to_thread.run_sync(reviews.neighbours, ledger, list_filter(origin), review_id)
    if around.to_decide is None:
        return list_url(request, origin)
    return review_url(request, around.to_decide, origin)
