"""The list of reviews: filters, search, order, pages, and the way to decide about many at once."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import anyio.to_thread
from sqlalchemy import ColumnElement, Select, and_, true
from sqlalchemy.orm import load_only
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import IntegerField, StringField, action
from starlette_admin.actions import ActionSelection
from starlette_admin.contrib.sqla import ModelView
from starlette_admin.exceptions import ActionFailed
from starlette_admin.filters import FilterGroup
from starlette_admin.types import RequestAction

from review_page import wording
from review_page.forms import asked, review_id_of
from review_page.shown_review import shown_review
from schemas.money import NanoUsd
from schemas.outcome import DECIDED_STATUSES, ReviewStatus
from schemas.review import Filter, Totals
from schemas.review_tables import ReviewRow
from schemas.transitions import Verb, why_not
from services.ledger import Ledger, reviews
from services.ledger.reviews.reading import DEARNESS, matching

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
#: how old the numbers next to a select's choices may be; over many reviews they take longer than the list itself
_CHOICES_SECONDS = 30.0


def _query(request: Request) -> QueryParams:
    """What the list asks: the page's own address, or, from a batch action, the list's that it was started on."""
    sent = request.query_params.get("_list_query")
    return request.query_params if sent is None else QueryParams(sent.lstrip("?"))


def _where(request: Request) -> ColumnElement[bool]:
    """The filter of a list, less its search, which the library adds."""
    return and_(true(), *matching(replace(asked(_query(request)), search=None)))


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
    fields = (
        IntegerField("id", label="No.", filters=[]),
        StringField("job_id", label="Job", filters=[]),
        StringField("group_name", label="Group", filters=[]),
        StringField("reason", label="Reason", filters=[], formatter=_in_list(wording.words)),
        StringField("detail", label="Detail", filters=[]),
        StringField("model", label="Model", filters=[]),
        IntegerField("input_tokens", label="Input tokens", filters=[], formatter=_in_list(wording.number)),
        IntegerField(
            "worst_case_nano_usd", label="Worst case", filters=[], formatter=_in_list(wording.usd_most)
        ),
        StringField("status", label="Status", filters=[]),
        StringField("created_at", label="Parked", filters=[], formatter=_in_list(wording.moment)),
    )
    searchable_fields = (
        "job_id",
        "detail",
    )
    sortable_fields = (
        "id",
        "job_id",
        "group_name",
        "reason",
        "model",
        "input_tokens",
        "worst_case_nano_usd",
        "status",
        "created_at",
    )
    fields_default_sort = (("worst_case_nano_usd", True), ("id", True))
    sortable_field_mapping: ClassVar[dict[str, Any]] = {"worst_case_nano_usd": DEARNESS}
    list_template = "review_list.html"
    detail_template = "review_detail.html"
    actions = (
        "approve",
        "reject",
    )
    row_actions = ()
    exporters = ()
    importers = ()
    column_visibility = False
    search_highlight = False
    #: the library would fetch each; deciding about all that match is one statement
    action_select_all_limit = 10**9
    page_size = 25
    page_size_options = (
        10,
        25,
        50,
        100,
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ReviewRow)
        self.ledger = ledger
        self._offered: dict[str | None, tuple[float, dict[str, list[tuple[str, str]]]]] = {}

    def can_create(self, request: Request) -> bool:  # noqa: ARG002
        return False

    can_edit = can_delete = can_export = can_import = can_create

    def get_list_query(self, request: Request) -> Select[Any]:
        return (
            super().get_list_query(request).options(load_only(*_READ, raiseload=True)).where(_where(request))
        )

    def get_detail_query(self, request: Request) -> Select[Any]:
        return ModelView.get_list_query(self, request)

    def get_search_query(self, request: Request, term: str) -> Any:  # noqa: ARG002
        return and_(true(), *matching(Filter(search=term)))

    async def find_by_pk(self, request: Request, pk: Any) -> Any:
        return None if review_id_of(str(pk)) is None else await super().find_by_pk(request, pk)

    @action(name="approve", text="Approve …", custom_response=True)
    async def approve_many(self, request: Request, selection: ActionSelection) -> Response:
        return await self._confirm(request, selection, "approve")

    @action(name="reject", text="Reject …", custom_response=True)
    async def reject_many(self, request: Request, selection: ActionSelection) -> Response:
        return await self._confirm(request, selection, "reject")

    async def _confirm(self, request: Request, selection: ActionSelection, verb: str) -> Response:
        """The page that says what a decision about many comes to, before it is made."""
        chosen: Mapping[str, Any]
        if selection.is_select_all:
            totals, chosen = request.state.totals, {"which": asked(_query(request))}
        else:
            are_ids = all(review_id_of(str(pk)) is not None for pk in await selection.pks())
            rows = await selection.rows() if are_ids else ()
            totals, chosen = _summed(rows), {"versions": {row.id: row.version for row in rows}}
        if not totals.count:
            raise ActionFailed("Nothing is selected.")
        context = {"verb": verb, "totals": totals, "back": str(_query(request)), **chosen}
        return self.page(request, "review_confirm.html", context)

    def page(self, request: Request, template: str, context: Mapping[str, Any]) -> Response:
        """A page of ours in the library's frame."""
        assert self._admin is not None  # noqa: S101 - set when the view was added
        return self._admin._template_response(  # noqa: SLF001 - what the library's own views render with
            request, template, {"view": self, "title": "Reviews", **context}
        )

    async def serialize(self, obj: Any, request: Request, *args: Any, **options: Any) -> dict[str, Any]:
        """As the library does, and who claimed or decided it, and its worst case in nano-USD."""
        row = await super().serialize(obj, request, *args, **options)
        who = None
        if obj.status == ReviewStatus.CLAIMED:
            who = obj.claimed_by
        elif obj.status in DECIDED_STATUSES:
            who = obj.decided_by
        return row | {"who": who, "nano": obj.worst_case_nano_usd}

    async def count(self, request: Request, q: str | None = None, filters: FilterGroup | None = None) -> int:  # noqa: ARG002
        """How many match; what they come to is kept for who asked."""
        request.state.totals = await anyio.to_thread.run_sync(
            reviews.totals, self.ledger, asked(_query(request))
        )
        return int(request.state.totals.count)

    async def find_all(self, request: Request, *args: Any, **options: Any) -> Sequence[Any]:
        """As the library does; with them, what the list's selects offer."""
        status = asked(_query(request)).status
        request.state.choices = await anyio.to_thread.run_sync(self._choices, status)
        return await super().find_all(request, *args, **options)

    def _choices(self, status: str | None) -> dict[str, list[tuple[str, str]]]:
        """For each select: the values that reviews of a status have, with how many have them; half a minute old at most."""
        kept = self._offered.get(status)
        if kept is None or time.monotonic() - kept[0] > _CHOICES_SECONDS:
            kept = self._offered[status] = (time.monotonic(), self._counted(status))
        return kept[1]

    def _counted(self, status: str | None) -> dict[str, list[tuple[str, str]]]:
        found = reviews.facets(self.ledger, Filter(status=status))
        return {
            name: [
                (value, f"{wording.words(value)} ({count:,})")
                for value, count in found[name].items()
                if value
            ]
            for name in ("reason", "group", "model")
        }

    @staticmethod
    def open_to(review: ReviewRow, name: str) -> set[Verb]:
        """What a person may do to a review."""
        return {verb for verb in Verb if why_not(verb, review, name) is None}

    def reading(self, request: Request, review: ReviewRow) -> dict[str, Any]:
        """What the page of one review shows next to its columns."""
        return shown_review(request, self.ledger, review)


def _summed(rows: Sequence[ReviewRow]) -> Totals:
    priced = [row.worst_case_nano_usd for row in rows if row.worst_case_nano_usd is not None]
    return Totals(
        count=len(rows),
        worst_case=NanoUsd(sum(priced)),
        input_tokens=sum(row.input_tokens or 0 for row in rows),
        unpriced=len(rows) - len(priced),
        changes=sum(row.version for row in rows),
    )
