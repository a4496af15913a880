"""Decisions from the page: each a form of its own, sent once, and answered by what became of it."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import partial

import anyio.to_thread
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin import CustomView
from starlette_admin.flash import flash
from starlette_admin.routing import route

from schemas.errors import BadInput
from schemas.money import NanoUsd
from schemas.review import APPROVAL_HOLDS, Decided, Filter, Totals
from services.ledger import Ledger, reviews
from services.review_page import wording
from services.review_page.listing import asked

_DONE = {
    "approve": "approved",
    "reject": "rejected",
    "claim": "claimed",
    "take_over": "claimed",
    "release": "given back",
    "reopen": "waiting again",
}
#: refusals that are said in full; the cookie that carries them holds four kilobytes
_SAID = 3


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
        review_id = _whole(form, "id") or 0
        try:
            decided = await self._decided(request, form, [review_id], {review_id: _whole(form, "version") or 0})
        except BadInput as error:
            flash(request, str(error), "error")
        else:
            _say(request, _text(form, "verb"), decided)
        return RedirectResponse(
            request.url_for("admin:detail", key="reviews").include_query_params(pk=review_id), 303
        )

    @route("/many", methods=["POST"], name="decide-many")
    async def many(self, request: Request) -> Response:
        """Decide about those that were selected and confirmed."""
        form = await request.form()
        back = QueryParams(_text(form, "back"))
        try:
            if form.get("versions"):
                versions = _versions(_text(form, "versions"))
                decided = await self._decided(request, form, list(versions), versions)
            else:
                decided = await self._decided(request, form, asked(back), {})
        except BadInput as error:
            flash(request, str(error), "error")
        else:
            _say(request, _text(form, "verb"), decided)
        return RedirectResponse(f"{request.url_for('admin:list', key='reviews')}?{back}", 303)

    async def _decided(
        self, request: Request, form: FormData, which: list[int] | Filter, versions: Mapping[int, int]
    ) -> Decided:
        """Make the decision of a form, in the name of whoever is logged in."""
        by = request.state.admin_user.username
        verb, note = _text(form, "verb"), _text(form, "note") or None
        confirmed = _confirmed(form) if isinstance(which, Filter) else None
        act: Callable[[], Decided]
        if verb == "approve":
            act = partial(
                reviews.approve,
                self._ledger,
                which,
                by,
                note=note,
                ceiling_usd=_usd(form, "ceiling_usd"),
                ceiling_tokens=_whole(form, "ceiling_tokens"),
                expires_in=timedelta(days=_whole(form, "days") or APPROVAL_HOLDS.days),
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


def _say(request: Request, verb: str, decided: Decided) -> None:
    """Tell what became of a decision, on the next page."""
    if decided.changed:
        flash(request, f"{wording.jobs(decided.changed)} {_DONE[verb]}.".capitalize(), "success")
    if not decided.refused:
        return
    said = [
        f"review {refusal.review_id}: {refusal.why}" if refusal.review_id else refusal.why
        for refusal in decided.refused[:_SAID]
    ]
    rest = len(decided.refused) - len(said)
    more = f"; and {rest:,} more" if rest else ""
    left = f"{len(decided.refused):,} left as they were" if len(decided.refused) > 1 else "Left as it was"
    flash(request, f"{left}: {'; '.join(said)}{more}."[:1_000], "warning" if decided.changed else "error")


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _whole(form: FormData, name: str) -> int | None:
    """A whole number that a form gives, or None where it is left empty."""
    text = _text(form, name).replace(",", "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 15:
        raise BadInput(f"The field {wording.words(name)} needs a whole number; nothing was decided.")
    return int(text)


def _usd(form: FormData, name: str) -> Decimal | None:
    """An amount of USD that a form gives, or None where it is left empty."""
    text = _text(form, name).lstrip("$").replace(",", "")
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or not 0 <= amount < 10**9:
        raise BadInput("A ceiling is an amount in USD, like 0.25; nothing was decided.")
    return amount


def _versions(text: str) -> dict[int, int]:
    """What was read of each selected review, from "id:version id:version"."""
    pairs = [pair.partition(":")[::2] for pair in text.split()]
    if not all(part.isdecimal() and len(part) < 16 for pair in pairs for part in pair):
        raise BadInput("The selection cannot be read; select again. Nothing was decided.")
    return {int(review_id): int(version) for review_id, version in pairs}


def _confirmed(form: FormData) -> Totals:
    """The figures that a person saw and confirmed."""
    names = ("count", "worst_case", "input_tokens", "unpriced", "changes")
    count, worst_case, *rest = (_whole(form, name) for name in names)
    if count is None or worst_case is None or None in rest:
        raise BadInput("The confirmed figures are missing; select again. Nothing was decided.")
    tokens, unpriced, changes = (value or 0 for value in rest)
    return Totals(count, NanoUsd(worst_case), tokens, unpriced, changes)
