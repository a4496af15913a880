"""How figures, moments and what became of a decision read on the page."""

from collections.abc import Sequence
from datetime import UTC, datetime

from starlette.requests import Request
from starlette_admin.flash import flash

from schemas.money import to_usd, usd_at_most, usd_short, usd_short_most
from schemas.review import Decided, RefusedDecision, Totals
from schemas.transitions import Verb

_DONE = {
    Verb.APPROVE: "approved",
    Verb.REJECT: "rejected",
    Verb.EDIT: "edited",
    Verb.CLAIM: "claimed",
    Verb.TAKE_OVER: "claimed",
    Verb.RELEASE: "given back",
    Verb.REOPEN: "waiting again",
}
#: refusals that are shown in full; the cookie that carries them holds four kilobytes
_SHOWN = 3


def usd(nano: int | None) -> str:
    """USD for a table: cents from one dollar on, more places below; nothing for what has no price."""
    return usd_short(nano)


def usd_most(nano: int | None) -> str:
    """USD for a table, of the most that something can cost: as `usd`, and never lower than it is."""
    return usd_short_most(nano)


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
    """A number of jobs, in words."""
    return "1 job" if count == 1 else f"{count:,} jobs"


def consequence(totals: Totals) -> str:
    """What approving comes to: jobs, and at most how much money."""
    text = f"{jobs(totals.count)}, at most {usd_at_most(totals.worst_case)} USD"
    if totals.unpriced:
        text += f"; {totals.unpriced:,} of them without a worst case, which cannot be approved"
    return text


def show_outcome(request: Request, verb: Verb, decided: Decided) -> None:
    """Show what became of a decision, on the next page."""
    if decided.changed:
        flash(request, f"{jobs(decided.changed)} {_DONE[verb]}.", "success")
    if decided.refused:
        kind = "warning" if decided.changed else "error"
        flash(request, _refusals(decided.refused)[:1_000], kind)


def _refusals(refused: Sequence[RefusedDecision]) -> str:
    reasons = []
    for refusal in refused[:_SHOWN]:
        whose = f"review {refusal.review_id}: " if refusal.review_id else ""
        reasons.append(whose + refusal.why)
    if len(refused) > _SHOWN:
        reasons.append(f"and {len(refused) - _SHOWN:,} more")
    left = "Left as it was"
    if len(refused) > 1:
        left = f"{len(refused):,} left as they were"
    return f"{left}: {'; '.join(reasons)}."
