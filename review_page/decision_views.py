"""Decisions from the page: each a form of its own, sent once, and answered by what became of it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial

import anyio.to_thread
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import CustomView
from starlette_admin.flash import flash
from starlette_admin.routing import route

from review_page.forms import confirmed_of, text_of, usd_of, versions_of, whole_of
from review_page.list_view import asked
from review_page.wording import say
from schemas.errors import BadInput
from schemas.review import APPROVAL_HOLDS, Decided, Filter
from services.ledger import Ledger, reviews


class Deciding(CustomView):
    """The addresses that decisions are sent to.

    Args:
        ledger: the ledger.
    """

    path = "/decide"
    add_to_menu = False

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    @route("", methods=["GET"], name="no-decision")
    async def index(self, request: Request) -> Response:
        """A decision is never an address that can be opened."""
        return RedirectResponse(request.url_for("admin:list", key="reviews"), 303)

    @route("/one", methods=["POST"], name="decide-one")
    async def one(self, request: Request) -> Response:
        """Decide about one review."""
        form = await request.form()
        review_id = whole_of(form, "id") or 0
        try:
            decided = await self._decided(
                request, form, [review_id], {review_id: whole_of(form, "version") or 0}
            )
        except BadInput as error:
            flash(request, str(error), "error")
        else:
            say(request, text_of(form, "verb"), decided)
        return RedirectResponse(
            request.url_for("admin:detail", key="reviews").include_query_params(pk=review_id), 303
        )

    @route("/many", methods=["POST"], name="decide-many")
    async def many(self, request: Request) -> Response:
        """Decide about those that were selected and confirmed."""
        form = await request.form()
        back = QueryParams(text_of(form, "back"))
        try:
            if form.get("versions"):
                versions = versions_of(form)
                decided = await self._decided(request, form, list(versions), versions)
            else:
                decided = await self._decided(request, form, asked(back), {})
        except BadInput as error:
            flash(request, str(error), "error")
        else:
            say(request, text_of(form, "verb"), decided)
        return RedirectResponse(f"{request.url_for('admin:list', key='reviews')}?{back}", 303)

    async def _decided(
        self, request: Request, form: FormData, which: list[int] | Filter, versions: Mapping[int, int]
    ) -> Decided:
        """Make the decision of a form, in the name of whoever is logged in."""
        by = request.state.admin_user.username
        verb, note = text_of(form, "verb"), text_of(form, "note") or None
        confirmed = confirmed_of(form) if isinstance(which, Filter) else None
        act: Callable[[], Decided]
        if verb == "approve":
            act = partial(
                reviews.approve,
                self._ledger,
                which,
                by,
                note=note,
                ceiling_usd=usd_of(form, "ceiling_usd"),
                ceiling_tokens=whole_of(form, "ceiling_tokens"),
                expires_in=timedelta(days=whole_of(form, "days") or APPROVAL_HOLDS.days),
                versions=versions,
                confirmed=confirmed,
            )
        elif verb == "reject":
            act = partial(
                reviews.reject, self._ledger, which, by, note=note, versions=versions, confirmed=confirmed
            )
        elif isinstance(which, Filter):
            raise BadInput("Only approving and rejecting can be done to all that match; nothing was decided.")
        elif verb in ("claim", "take_over"):
            act = partial(reviews.claim, self._ledger, which, by, take_over=verb == "take_over")
        elif verb == "release":
            act = partial(reviews.release, self._ledger, which, by)
        elif verb == "reopen":
            act = partial(reviews.reopen, self._ledger, which, by, note=note)
        else:
            raise BadInput("There is no such decision; nothing was decided.")
        return await anyio.to_thread.run_sync(act)
