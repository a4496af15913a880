"""Decisions from the page: each a form of its own, sent once, and answered by what became of it."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple

import anyio.to_thread
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import CustomView
from starlette_admin.flash import flash
from starlette_admin.routing import route

from review_page.forms import (
    asked,
    billed_of,
    confirmed_of,
    days_of,
    text_of,
    usd_of,
    verb_of,
    versions_of,
    whole_of,
)
from review_page.going_on import after_decision, origin_of, review_url
from review_page.wording import show_outcome
from schemas.errors import BadInput, WeighbridgeError
from schemas.review import Decided, Filter
from schemas.transitions import Verb
from services.ledger import Ledger, reviews

#: after these there is nothing left to do about a review
_GOES_ON = (Verb.APPROVE, Verb.REJECT)


class _AboutOne(NamedTuple):
    """What a form says about one review.

    Attributes:
        version: what its reader read.
        origin: the list that its reader came from; None: they came from elsewhere.
    """

    form: FormData
    review_id: int
    version: int
    origin: str | None


async def _answered(request: Request, act: Callable[[_AboutOne], Awaitable[str | None]]) -> Response:
    """The answer to a form about one review: what the act leads to, or else the review itself, with what was wrong."""
    form = await request.form()
    review_id, origin = 0, origin_of(request, form.get("origin", ""))
    leads_to = None
    try:
        review_id = whole_of(form, "id") or 0
        leads_to = await act(_AboutOne(form, review_id, whole_of(form, "version") or 0, origin))
    except WeighbridgeError as error:
        flash(request, str(error), "error")
    return RedirectResponse(leads_to or review_url(request, review_id, origin), 303)


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

        async def decide(about: _AboutOne) -> str | None:
            # before the decision: the order is by what the review was
            following = await after_decision(request, self._ledger, about.review_id, about.origin)
            versions = {about.review_id: about.version}
            decided = await self._decide(request, about.form, [about.review_id], versions)
            return following if decided.changed and verb_of(about.form) in _GOES_ON else None

        return await _answered(request, decide)

    @route("/accept", methods=["POST"], name="accept-answer")
    async def accept(self, request: Request) -> Response:
        """Make what came and could not be read the answer of its job."""

        async def accept(about: _AboutOne) -> None:
            who = (about.review_id, request.state.admin_user.username)
            act = partial(reviews.accept, self._ledger, *who, billed_of(about.form), version=about.version)
            attempt_id, _ = await anyio.to_thread.run_sync(act)
            flash(request, f"What came for {attempt_id} is the answer of its job.", "success")

        return await _answered(request, accept)

    @route("/many", methods=["POST"], name="decide-many")
    async def many(self, request: Request) -> Response:
        """Decide about those that were selected and confirmed."""
        form = await request.form()
        back = QueryParams(text_of(form, "back"))
        try:
            if form.get("versions"):
                versions = versions_of(form)
                await self._decide(request, form, list(versions), versions)
            else:
                await self._decide(request, form, asked(back), {})
        except WeighbridgeError as error:
            flash(request, str(error), "error")
        return RedirectResponse(f"{request.url_for('admin:list', key='reviews')}?{back}", 303)

    async def _decide(
        self, request: Request, form: FormData, which: list[int] | Filter, versions: Mapping[int, int]
    ) -> Decided:
        """Make the decision of a form, in the name of whoever is logged in, and show what became of it."""
        verb, by = verb_of(form), request.state.admin_user.username
        if verb in (Verb.APPROVE, Verb.REJECT):
            act = self._about_any(form, verb, which, by, versions)
        elif isinstance(which, Filter):
            raise BadInput("Only approving and rejecting can be done to all that match; nothing was decided.")
        else:
            act = self._about_named(form, verb, which, by)
        decided = await anyio.to_thread.run_sync(act)
        show_outcome(request, verb, decided)
        return decided

    def _about_any(
        self, form: FormData, verb: Verb, which: list[int] | Filter, by: str, versions: Mapping[int, int]
    ) -> Callable[[], Decided]:
        """Approving and rejecting, of some reviews or of all that a filter means."""
        confirmed = None
        if isinstance(which, Filter):
            confirmed = confirmed_of(form)
        note = text_of(form, "note") or None
        if verb == Verb.REJECT:
            return partial(
                reviews.reject, self._ledger, which, by, note=note, versions=versions, confirmed=confirmed
            )
        return partial(
            reviews.approve,
            self._ledger,
            which,
            by,
            note=note,
            ceiling_usd=usd_of(form, "ceiling_usd"),
            ceiling_tokens=whole_of(form, "ceiling_tokens"),
            expires_in=days_of(form, "days"),
            versions=versions,
            confirmed=confirmed,
        )

    def _about_named(self, form: FormData, verb: Verb, ids: list[int], by: str) -> Callable[[], Decided]:
        """What is done to reviews one by one."""
        match verb:
            case Verb.CLAIM | Verb.TAKE_OVER:
                return partial(reviews.claim, self._ledger, ids, by, take_over=verb == Verb.TAKE_OVER)
            case Verb.RELEASE:
                return partial(reviews.release, self._ledger, ids, by)
            case Verb.REOPEN:
                return partial(reviews.reopen, self._ledger, ids, by, note=text_of(form, "note") or None)
            case _:
                raise BadInput("There is no such decision here; nothing was decided.")
