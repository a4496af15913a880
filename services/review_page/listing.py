"""The list of reviews: filters, search, order, pages, and the way to decide about many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import anyio.to_thread
from sqlalchemy import ColumnElement, Select, and_, true
from sqlalchemy.orm import load_only
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import IntegerField, RowActionsDisplayType, StringField, action
from starlette_admin.actions import ActionSelection
from starlette_admin.contrib.sqla import ModelView
from starlette_admin.exceptions import ActionFailed
from starlette_admin.filters import FilterGroup
from starlette_admin.types import RequestAction

from schemas.ledger import REVIEW_STATUSES, ReviewRow
from schemas.money import NanoUsd
from schemas.review import Filter, Totals
from services.ledger import Ledger, reviews
from services.ledger.reviews.reading import matching
from services.review_page import wording
from services.review_page.conversation import conversation

_READ = (
    ReviewRow.id,
    ReviewRow.job_id,
    ReviewRow.group_name,
    ReviewRow.reason,
    ReviewRow.detail,
    ReviewRow.model,
    ReviewRow.input_tokens,
    ReviewRow.worst_case_nano_usd,
    ReviewRow.status,
    ReviewRow.claimed_by,
    ReviewRow.decided_by,
    ReviewRow.created_at,
    ReviewRow.version,
)
#: what a list without a choice shows
_WAITING = "pending"


def asked(query: QueryParams) -> Filter:
    """The filter that a list's address names. What cannot be read asks nothing."""
    status = query.get("status", _WAITING)
    return Filter(
        status=status if status in REVIEW_STATUSES else None,
        reason=query.get("reason") or None,
        group=query.get("group") or None,
        model=query.get("model") or None,
        over_usd=_decimal(query.get("over")),
        search=query.get("q") or None,
    )


def _decimal(text: str | None) -> Decimal | None:
    try:
        value = Decimal((text or "").strip().lstrip("$").replace(",", ""))
    except InvalidOperation:
        return None
    return value if value.is_finite() and 0 <= value < 10**9 else None


def _where(request: Request) -> ColumnElement[bool]:
    """The filter of a list, less its search, which the library adds."""
    return and_(true(), *matching(replace(asked(request.query_params), search=None)))


def _in_list(how: Any) -> dict[RequestAction, Any]:
    return {RequestAction.LIST: lambda _request, value: how(value)}


class Reviews(ModelView):
    """The table `reviews` as pages.

    Args:
        ledger: the ledger.
    """

    key = "reviews"
    menu_label = "Reviews"
    display_name = "review"
    fields: ClassVar = [
        IntegerField("id", label="No."),
        StringField("job_id", label="Job"),
        StringField("group_name", label="Group"),
        StringField("reason", label="Reason", formatter=_in_list(wording.words)),
        StringField("detail", label="Detail"),
        StringField("model", label="Model"),
        IntegerField("input_tokens", label="Input tokens", formatter=_in_list(wording.number)),
        IntegerField("worst_case_nano_usd", label="Worst case", formatter=_in_list(wording.usd)),
        StringField("status", label="Status"),
        StringField("claimed_by", label="Claimed by"),
        StringField("decided_by", label="Decided by"),
        StringField("created_at", label="Parked", formatter=_in_list(wording.moment)),
    ]
    searchable_fields: ClassVar = ["job_id", "detail"]
    sortable_fields: ClassVar = [
        "id",
        "job_id",
        "group_name",
        "reason",
        "model",
        "input_tokens",
        "worst_case_nano_usd",
        "status",
        "created_at",
    ]
    fields_default_sort: ClassVar = [("id", True)]
    list_template = "review_list.html"
    detail_template = "review_detail.html"
    actions: ClassVar = ["approve", "reject"]
    row_actions: ClassVar = []
    row_actions_display_type = RowActionsDisplayType.ICON_LIST
    exporters: ClassVar = []
    importers: ClassVar = []
    column_visibility = False
    search_highlight = False
    page_size = 25
    page_size_options: ClassVar = [10, 25, 50, 100]

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ReviewRow)
        self.ledger = ledger

    def can_create(self, request: Request) -> bool:  # noqa: ARG002
        return False

    can_edit = can_delete = can_export = can_import = can_create

    def get_list_query(self, request: Request) -> Select[Any]:
        return super().get_list_query(request).options(load_only(*_READ, raiseload=True)).where(_where(request))

    def get_detail_query(self, request: Request) -> Select[Any]:
        return ModelView.get_list_query(self, request)

    def get_search_query(self, request: Request, term: str) -> Any:  # noqa: ARG002
        return and_(true(), *matching(Filter(search=term)))

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        return await super().find_by_pk(request, pk) if str(pk).isdecimal() and len(str(pk)) < 10 else None

    @action(name="approve", text="Approve …", custom_response=True)
    async def approve_many(self, request: Request, selection: ActionSelection) -> Response:
        return await self._confirm(request, selection, "approve")

    @action(name="reject", text="Reject …", custom_response=True)
    async def reject_many(self, request: Request, selection: ActionSelection) -> Response:
        return await self._confirm(request, selection, "reject")

    async def _confirm(self, request: Request, selection: ActionSelection, verb: str) -> Response:
        """The page that says what a decision about many comes to, before it is made."""
        listed = QueryParams((request.query_params.get("_list_query") or "").lstrip("?"))
        if selection.is_select_all:
            which = asked(listed)
            totals = await anyio.to_thread.run_sync(reviews.totals, self.ledger, which)
            chosen: Mapping[str, Any] = {"which": which}
        else:
            rows = await selection.rows() if all(str(pk).isdecimal() for pk in await selection.pks()) else ()
            totals = _summed(rows)
            chosen = {"versions": {row.id: row.version for row in rows}}
        if not totals.count:
            raise ActionFailed("Nothing is selected.")
        return self.page(request, "review_confirm.html", verb=verb, totals=totals, back=str(listed), **chosen)

    def page(self, request: Request, template: str, status_code: int = 200, **context: Any) -> Response:
        """A page of ours in the library's frame."""
        assert self._admin is not None  # noqa: S101 - set when the view was added
        return self._admin._template_response(  # noqa: SLF001 - what the library's own views render with
            request, template, {"view": self, "title": "Reviews", **context}, status_code
        )

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:  # noqa: ARG002
        """How many match; with it, what they come to, and what the list's selects offer, for its template."""
        which = asked(request.query_params)
        request.state.totals = await anyio.to_thread.run_sync(reviews.totals, self.ledger, which)
        request.state.choices = await anyio.to_thread.run_sync(self._choices, which.status)
        return request.state.totals.count

    def _choices(self, status: str | None) -> dict[str, list[tuple[str, str]]]:
        """For each select: the values that reviews of a status have, with how many have them."""
        found = reviews.facets(self.ledger, Filter(status=status))
        return {
            name: [(value, f"{wording.words(value)} ({count:,})") for value, count in found[name].items() if value]
            for name in ("reason", "group", "model")
        }

    def reading(self, review: ReviewRow) -> dict[str, Any]:
        """What the page of one review shows beside its columns."""
        return {
            "now": conversation(review.edited_payload or review.payload or ""),
            "before": conversation(review.payload) if review.edited_payload and review.payload else None,
            "history": reviews.events(self.ledger, review.id),
        }


def _summed(rows: Sequence[ReviewRow]) -> Totals:
    priced = [row.worst_case_nano_usd for row in rows if row.worst_case_nano_usd is not None]
    return Totals(
        count=len(rows),
        worst_case=NanoUsd(sum(priced)),
        input_tokens=sum(row.input_tokens or 0 for row in rows),
        unpriced=len(rows) - len(priced),
        changes=sum(row.version for row in rows),
    )
