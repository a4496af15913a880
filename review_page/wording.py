"""How figures, moments and what became of a decision read on the page."""

from datetime import UTC, datetime

from starlette.requests import Request
from starlette_admin.flash import flash

from schemas.money import to_usd, usd_short
from schemas.review import Decided, Totals

_DONE = {
    "approve": "approved",
    "reject": "rejected",
    "edit": "edited",
    "claim": "claimed",
    "take_over": "claimed",
    "release": "given back",
    "reopen": "waiting again",
}
#: refusals that are said in full; the cookie that carries them holds four kilobytes
_SAID = 3


def usd(nano: int | None) -> str:
    """USD for a table: cents from one dollar on, more places below; nothing for what has no price."""
    return "" if nano is None else usd_short(nano)


def usd_exact(nano: int | None) -> str:
    """USD as a decimal number that a form takes, with every place that it has."""
    if nano is None:
        return ""
    whole, _, places = f"{to_usd(nano):f}".partition(".")
    return f"{whole}.{places.rstrip('0').ljust(2, '0')}"


def number(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return "" if value is None else f"{value:,}"


def moment(value: datetime | None) -> str:
    """A moment in UTC, to the minute."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def words(value: str | None) -> str:
    """A reason as words: over_cost_limit reads over cost limit."""
    return (value or "").replace("_", " ")


def jobs(count: int) -> str:
    """So many jobs."""
    return "1 job" if count == 1 else f"{count:,} jobs"


def consequence(totals: Totals) -> str:
    """What approving comes to: jobs, and at most how much money."""
    text = f"{jobs(totals.count)}, at most {to_usd(totals.worst_case):,.2f} USD"
    if totals.unpriced:
        text += f"; {totals.unpriced:,} of them without a worst case, which cannot be approved"
    return text


def say(request: Request, verb: str, decided: Decided) -> None:
    """Tell what became of a decision, on the next page."""
    if decided.changed:
        flash(request, f"{jobs(decided.changed)} {_DONE[verb]}.", "success")
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
