"""What the page of one review shows next to its columns: payload, history, advice, and where it leads."""

import json
import time
from typing import Any

from starlette.requests import Request
from starlette.routing import NoMatchFound

from review_page.conversation import conversation
from review_page.going_on import ORIGIN, list_filter, list_url, origin_of, review_url
from review_page.shortcuts import TAKE, Shortcut, sentences, shortcut_of, taken
from rules.raw_answer import RAW_LABEL, shown_raw
from schemas.errors import RunFailed
from schemas.review import ReviewDetail
from schemas.review_tables import ReviewRow
from services.ledger import Ledger, reviews, runs
from services.ledger.shared_answers import sharers_of

_PAUSE_SECONDS = 0.3


def is_readable(payload: str | None) -> bool:
    """Whether a stored payload is the JSON of a request, so that it can be edited and sent."""
    try:
        request = json.loads(payload or "")
    except (ValueError, RecursionError):
        return False
    return isinstance(request, dict) and isinstance(request.get("messages"), list)


def kept_review(ledger: Ledger, review_id: int) -> ReviewDetail | None:
    """A review with its payloads; None where there is none, or where the database cannot read them any more."""
    for pause in (_PAUSE_SECONDS, None):
        try:
            return reviews.one_review(ledger, review_id)
        except RunFailed:
            # either a column that holds no text, or a ledger that does not answer just now: that passes
            if pause is not None:
                time.sleep(pause)
    return None


def shown_review(request: Request, ledger: Ledger, review: ReviewRow) -> dict[str, Any]:
    """What the templates need.

    `now` is None when the payload was pruned, and `unreadable` says that what is stored is no request any more.
    """
    kept = kept_review(ledger, review.id)
    standing = None if kept is None else kept.standing
    shown: dict[str, Any] = {"now": None, "before": None}
    if standing:
        shown["now"] = conversation(standing)
    if kept is not None and kept.edited_payload and kept.payload:
        shown["before"] = conversation(kept.payload)
    unreadable = kept is None or (standing is not None and not is_readable(standing))
    run = runs.find(ledger, review.run_id)
    return shown | {
        "unreadable": unreadable,
        "editable": kept is not None and bool(kept.payload) and not unreadable,
        "history": reviews.events(ledger, review.id),
        "ways": _ways(request, ledger, review.id),
        "advice": _advice(request, review),
        "taken": taken(review.would_pass, "approve", request.query_params.get(TAKE)),
        "run": run,
        "raws": [(raw, shown_raw(raw.body)) for raw in reviews.raw_answers(ledger, review.id)],
        "raw_label": RAW_LABEL,
        "sharers": sharers_of(ledger, review.run_id, review.row_number, review.job_id),
    }


def _ways(request: Request, ledger: Ledger, review_id: int) -> dict[str, str | None]:
    """Where the page of one review leads: addresses, or None where there is nothing."""
    origin = origin_of(request)
    around = reviews.neighbours(ledger, list_filter(origin), review_id)
    ways: dict[str, str | None] = {"origin": origin, "list": list_url(request, origin)}
    for name, found in (("previous", around.previous), ("next", around.next)):
        ways[name] = None if found is None else review_url(request, found, origin)
    return ways


def _advice(request: Request, review: ReviewRow) -> list[tuple[str, Shortcut | None, str]]:
    """Each sentence of the advice, what it fills in, and the address of the form with that filled in."""
    lines = []
    for number, sentence in enumerate(sentences(review.would_pass)):
        shortcut = shortcut_of(sentence)
        address = ""
        if shortcut is not None:
            address = _address(request, review.id, shortcut.form, number)
        lines.append((sentence, shortcut, address))
    return lines


def _address(request: Request, review_id: int, form: str, number: int) -> str:
    named: dict[str, int | str] = {"pk": review_id, TAKE: number}
    if origin := origin_of(request):
        named[ORIGIN] = origin
    if form == "approve":
        url = request.url_for("admin:detail", key="reviews")
        return f"{url.include_query_params(**named)}#approve"
    try:
        return str(request.url_for("admin:edit-review").include_query_params(**named))
    except NoMatchFound:  # nothing can be edited here
        return ""
