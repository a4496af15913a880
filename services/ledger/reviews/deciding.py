"""Deciding about reviews: by a person, optimistically, in one transaction each.

A review that somebody else changed, claimed or decided is left as it is and named among the refused; it is never an
exception. What is allowed here is what the database's own rules allow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, insert, not_, or_, select, update

from schemas.errors import BadInput
from schemas.ledger import ReviewPayloadRow, ReviewRow
from schemas.money import to_nano, usd_text
from schemas.payload.payload import Payload
from schemas.review import (
    APPROVAL_HOLDS,
    MAX_NAME_CHARACTERS,
    Decided,
    EditEstimate,
    Filter,
    RefusedDecision,
    Totals,
)
from schemas.words import printable
from services.ledger.reviews.reading import matching, totals_within
from services.ledger.store import Ledger
from services.ledger.windows import one_at_a_time

#: reviews named one by one, in one statement
_PAGE = 500
_STANDING = (
    ReviewRow.id,
    ReviewRow.status,
    ReviewRow.reason,
    ReviewRow.claimed_by,
    ReviewRow.decided_by,
    ReviewRow.worst_case_nano_usd,
    ReviewRow.input_tokens,
    ReviewRow.version,
)
Why = Callable[[Row[Any]], str]


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of reviews: which may have it, what it writes, and why the others may not."""

    allowed: ColumnElement[bool]
    values: dict[str, Any]
    why: Why
    versions: Mapping[int, int] | None = None
    confirmed: Totals | None = None


def claim(ledger: Ledger, ids: Sequence[int], by: str, *, take_over: bool = False) -> Decided:
    """Set reviews aside for one person, so that nobody else decides about them.

    Args:
        ledger: the ledger.
        ids: the reviews.
        by: the person.
        take_over: also those that somebody else has claimed.
    """
    name = checked_name(by)
    mine = ReviewRow.status == "claimed"
    if not take_over:
        mine = and_(mine, ReviewRow.claimed_by == name)
    values = {"status": "claimed", "claimed_by": name, "claimed_at": datetime.now(UTC)}
    return _changed(
        ledger, ids, _Change(or_(ReviewRow.status == "pending", mine), values, lambda row: _taken(row, name))
    )


def release(ledger: Ledger, ids: Sequence[int], by: str) -> Decided:
    """Give claimed reviews back, so that anybody may decide about them."""
    name = checked_name(by)
    allowed = and_(ReviewRow.status == "claimed", ReviewRow.claimed_by == name)
    return _changed(ledger, ids, _Change(allowed, {"status": "pending"}, lambda row: _taken(row, name)))


def reopen(ledger: Ledger, ids: Sequence[int], by: str, *, note: str | None = None) -> Decided:
    """Take back decisions that were not acted on yet: the reviews wait again, for anybody."""
    allowed = ReviewRow.status.in_(("approved", "edited", "rejected", "expired"))
    values = {"status": "pending", "decided_by": checked_name(by), "note": note}
    return _changed(ledger, ids, _Change(allowed, values, lambda row: f"it is {row.status}, not decided"))


def approve(  # noqa: PLR0913 - what a person says in approving
    ledger: Ledger,
    which: Sequence[int] | Filter,
    by: str,
    *,
    note: str | None = None,
    ceiling_usd: Decimal | None = None,
    ceiling_tokens: int | None = None,
    expires_in: timedelta = APPROVAL_HOLDS,
    versions: Mapping[int, int] | None = None,
    confirmed: Totals | None = None,
) -> Decided:
    """Let jobs pass, up to a ceiling and for some time.

    Args:
        ledger: the ledger.
        which: the reviews: by id, or all that a filter means in one statement.
        by: the person.
        note: what they say about it.
        ceiling_usd: the most that the worst case may be when it is sent; None: what it is now. A review that is
            dearer now is refused.
        ceiling_tokens: the most input tokens it may weigh when it is sent; None: what it weighs now.
        expires_in: how long the approval holds.
        versions: by id: what was read; a review that was changed since is refused.
        confirmed: what the filter came to when it was confirmed; if it comes to anything else, nothing is changed.

    Raises:
        BadInput: no name, or a ceiling or time that makes no sense.
    """
    name = checked_name(by)
    if (ceiling_usd is not None and ceiling_usd < 0) or (ceiling_tokens is not None and ceiling_tokens < 0):
        raise BadInput("A ceiling cannot be less than nothing; nothing was decided.")
    if expires_in <= timedelta(0):
        raise BadInput("An approval must hold for some time; nothing was decided.")
    most = None if ceiling_usd is None else to_nano(ceiling_usd)
    allowed = and_(_decidable(name, ("approved", "edited")), ReviewRow.worst_case_nano_usd.is_not(None))
    if most is not None:
        allowed = and_(allowed, ReviewRow.worst_case_nano_usd <= most)
    if ceiling_tokens is not None:
        allowed = and_(allowed, func.coalesce(ReviewRow.input_tokens, 0) <= ceiling_tokens)
    now = datetime.now(UTC)
    values = {
        "status": "approved",
        "decided_by": name,
        "decided_at": now,
        "note": note,
        "ceiling_nano_usd": ReviewRow.worst_case_nano_usd if most is None else most,
        "ceiling_tokens": ReviewRow.input_tokens if ceiling_tokens is None else ceiling_tokens,
        "expires_at": now + expires_in,
    }

    def why(row: Row[Any]) -> str:
        if undecidable := _undecidable(row, name, ("approved", "edited")):
            return undecidable
        if row.worst_case_nano_usd is None:
            return (
                f"it has no worst case ({row.reason}), and what nobody can price is not sent; "
                "edit it, or see what would let it pass"
            )
        if most is not None and row.worst_case_nano_usd > most:
            return f"its worst case is {usd_text(row.worst_case_nano_usd)} USD, over the ceiling of {usd_text(most)} USD"
        return f"it weighs {row.input_tokens:,} input tokens, over the ceiling of {ceiling_tokens:,}"

    return _changed(ledger, which, _Change(allowed, values, why, versions, confirmed))


def reject(
    ledger: Ledger,
    which: Sequence[int] | Filter,
    by: str,
    *,
    note: str | None = None,
    versions: Mapping[int, int] | None = None,
    confirmed: Totals | None = None,
) -> Decided:
    """Decide that jobs are not sent; the arguments are those of `approve`."""
    name = checked_name(by)
    values = {
        "status": "rejected",
        "decided_by": name,
        "decided_at": datetime.now(UTC),
        "note": note,
        "ceiling_nano_usd": None,
        "ceiling_tokens": None,
        "expires_at": None,
    }
    own = ("approved", "edited")
    change = _Change(
        _decidable(name, own), values, lambda row: _undecidable(row, name, own) or "", versions, confirmed
    )
    return _changed(ledger, which, change)


def edit(  # noqa: PLR0913 - what a person says in editing
    ledger: Ledger,
    review_id: int,
    by: str,
    payload: Payload,
    figures: EditEstimate,
    *,
    note: str | None = None,
    version: int | None = None,
    expires_in: timedelta = APPROVAL_HOLDS,
) -> Decided:
    """Decide that a changed payload is sent in the job's place, up to the figures it was counted and priced at.

    Args:
        ledger: the ledger.
        review_id: the review.
        by: the person.
        payload: what is to be sent.
        figures: its weight and price, counted anew.
        note: what they say about it.
        version: what was read; a review that was changed since is refused.
        expires_in: how long the decision holds.
    """
    name = checked_name(by)
    now = datetime.now(UTC)
    values = {
        "status": "edited",
        "decided_by": name,
        "decided_at": now,
        "note": note,
        "edited_fingerprint": payload.fingerprint,
        "payload_class": payload.traits.payload_class,
        "max_tokens": payload.max_tokens,
        "model": figures.model,
        "input_tokens": figures.input_tokens,
        "method": figures.method,
        "worst_case_nano_usd": figures.worst_case,
        "limit_tokens": figures.limit_tokens,
        "limit_nano_usd": figures.limit,
        "would_pass": figures.would_pass,
        "ceiling_nano_usd": figures.worst_case,
        "ceiling_tokens": figures.input_tokens,
        "expires_at": now + expires_in,
    }
    versions = None if version is None else {review_id: version}
    change = _Change(_decidable(name, ()), values, lambda row: _undecidable(row, name, ()) or "", versions)
    with ledger.write() as connection:
        one_at_a_time(connection)
        decided = _by_id(connection, [review_id], change)
        if decided.changed:
            _keep_edit(connection, review_id, payload)
    return decided


def _keep_edit(connection: Connection, review_id: int, payload: Payload) -> None:
    text = {"edited_payload": payload.text.decode()}
    mine = update(ReviewPayloadRow).where(ReviewPayloadRow.review_id == review_id)
    if not connection.execute(mine.values(text)).rowcount:
        connection.execute(insert(ReviewPayloadRow).values(review_id=review_id, **text))


def expire(ledger: Ledger, now: datetime) -> int:
    """Turn approvals and edits whose time has passed to `expired`; how many."""
    with ledger.write() as connection:
        one_at_a_time(connection)
        return connection.execute(
            update(ReviewRow)
            .where(ReviewRow.status.in_(("approved", "edited")), ReviewRow.expires_at <= now)
            .values(status="expired", version=ReviewRow.version + 1)
        ).rowcount


def checked_name(by: str) -> str:
    """The name of who decides, fit to be stored; raises BadInput when there is none."""
    name = printable(by.strip())
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise BadInput(
            f"A decision needs the name of who decides, at most {MAX_NAME_CHARACTERS} characters; nothing was decided."
        )
    return name


def _decidable(name: str, own: Sequence[str]) -> ColumnElement[bool]:
    """Whether this person may decide; of what is decided already, only `own` and only what they decided."""
    return or_(
        ReviewRow.status.in_(("pending", "expired")),
        and_(ReviewRow.status == "claimed", ReviewRow.claimed_by == name),
        and_(ReviewRow.status.in_(own), ReviewRow.decided_by == name),
    )


def _undecidable(row: Row[Any], name: str, own: Sequence[str]) -> str | None:
    """Why this person may not decide, or None when they may."""
    if row.status in ("pending", "expired") or (row.status in own and row.decided_by == name):
        return None
    if row.status == "claimed":
        return None if row.claimed_by == name else f"it is claimed by {row.claimed_by}; take it over first"
    if row.status == "sent":
        return "it was sent"
    return f"it is {row.status} already, by {row.decided_by}; reopen it first"


def _taken(row: Row[Any], name: str) -> str:
    if row.status == "claimed" and row.claimed_by != name:
        return f"it is claimed by {row.claimed_by}; take it over first"
    if row.status == "pending":
        return "nobody has claimed it"
    return f"it is {row.status}, so it cannot be claimed or released; reopen it first"


def _changed(ledger: Ledger, which: Sequence[int] | Filter, change: _Change) -> Decided:
    with ledger.write() as connection:
        one_at_a_time(connection)
        if isinstance(which, Filter):
            return _by_filter(connection, which, change)
        changed, refused = 0, list[RefusedDecision]()
        wanted = list(dict.fromkeys(which))
        for start in range(0, len(wanted), _PAGE):
            part = _by_id(connection, wanted[start : start + _PAGE], change)
            changed += part.changed
            refused += part.refused
    return Decided(changed, tuple(refused))


def _by_filter(connection: Connection, which: Filter, change: _Change) -> Decided:
    meant = matching(which)
    if change.confirmed is not None and totals_within(connection, which) != change.confirmed:
        return Decided(
            0, (RefusedDecision(None, "the selection has changed since it was confirmed; look at it again"),)
        )
    refused = connection.execute(select(*_STANDING).where(*meant, not_(change.allowed))).all()
    changed = _write(connection, [*meant, change.allowed], change)
    return Decided(changed, tuple(RefusedDecision(row.id, change.why(row)) for row in refused))


def _by_id(connection: Connection, ids: Sequence[int], change: _Change) -> Decided:
    # a SQL shell knows nothing of our lock, so on PostgreSQL the rows themselves are locked too
    query = select(*_STANDING, change.allowed.label("allowed")).where(ReviewRow.id.in_(ids))
    standing = {
        row.id: row for row in connection.execute(query.order_by(ReviewRow.id).with_for_update()).all()
    }
    refused: list[RefusedDecision] = []
    going: list[int] = []
    for review_id in ids:
        row = standing.get(review_id)
        read = (change.versions or {}).get(review_id)
        if row is None:
            refused.append(RefusedDecision(review_id, "there is no such review"))
        elif not row.allowed:
            refused.append(RefusedDecision(review_id, change.why(row)))
        elif read is not None and read != row.version:
            refused.append(
                RefusedDecision(
                    review_id, f"it was changed since you read it (version {read}, now {row.version})"
                )
            )
        else:
            going.append(review_id)
    changed = _write(connection, [ReviewRow.id.in_(going)], change) if going else 0
    return Decided(changed, tuple(refused))


def _write(connection: Connection, where: Sequence[ColumnElement[bool]], change: _Change) -> int:
    return connection.execute(
        update(ReviewRow).where(*where).values(**change.values, version=ReviewRow.version + 1)
    ).rowcount
