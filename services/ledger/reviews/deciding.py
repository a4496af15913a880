"""Deciding about reviews: by a person, optimistically, in one transaction each.

A review that somebody else changed, claimed or decided is left as it is and named among the refused; it is never an
exception. Who may do what is said once, in `schemas.transitions.TRANSITIONS`; the database's own rules say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    TextClause,
    and_,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from schemas.errors import BadInput
from schemas.money import NanoUsd, to_nano, usd_text
from schemas.payload.payload import Payload
from schemas.review import (
    APPROVAL_HOLDS,
    MAX_APPROVAL_HOLDS,
    MAX_CEILING_TOKENS,
    MAX_CEILING_USD,
    MAX_NAME_CHARACTERS,
    ApprovalTerms,
    Decided,
    EditEstimate,
    EditTerms,
    Filter,
    RefusedDecision,
    Totals,
)
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from schemas.transitions import TRANSITIONS, Verb, Who, why_not
from schemas.words import printable
from services.ledger.pages import pages
from services.ledger.review_lines import is_an_id
from services.ledger.reviews.reading import matching, totals_within
from services.ledger.store import Ledger, storable
from services.ledger.windows import one_at_a_time

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
_NO_CEILING = {"ceiling_nano_usd": None, "ceiling_tokens": None, "expires_at": None}


@dataclass(frozen=True, slots=True)
class _Ceilings:
    """The most that a person allows: nano-USD and tokens; None: what the review says."""

    cost: NanoUsd | None = None
    tokens: int | None = None

    def condition(self) -> ColumnElement[bool]:
        """What may be approved up to these ceilings."""
        within: list[ColumnElement[bool]] = [ReviewRow.worst_case_nano_usd.is_not(None)]
        if self.cost is not None:
            within.append(ReviewRow.worst_case_nano_usd <= self.cost)
        if self.tokens is not None:
            within.append(func.coalesce(ReviewRow.input_tokens, 0) <= self.tokens)
        return and_(*within)

    def why_not(self, row: Row[Any]) -> str:
        """Why a review cannot be approved up to these ceilings."""
        if row.worst_case_nano_usd is None:
            return (
                f"it has no worst case ({row.reason}), and what nobody can price is not sent; "
                "edit it, or follow its advice"
            )
        if self.cost is not None and row.worst_case_nano_usd > self.cost:
            worst_case, ceiling = usd_text(row.worst_case_nano_usd), usd_text(self.cost)
            return f"its worst case is {worst_case} USD, over the ceiling of {ceiling} USD"
        return f"it weighs {row.input_tokens:,} input tokens, over the ceiling of {self.tokens:,}"


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of reviews.

    Attributes:
        verb: what is done.
        name: by whom.
        values: what is written, next to the status.
        ceilings: of an approval.
        versions: by id: what was read; a review that was changed since is refused.
        confirmed: what a filter came to when it was confirmed; if it comes to anything else, nothing is changed.
    """

    verb: Verb
    name: str
    values: Mapping[str, Any]
    ceilings: _Ceilings | None = None
    versions: Mapping[int, int] = field(default_factory=dict)
    confirmed: Totals | None = None

    @property
    def allowed(self) -> ColumnElement[bool]:
        who = _may(self.verb, self.name)
        return who if self.ceilings is None else and_(who, self.ceilings.condition())

    def why_not(self, row: Row[Any]) -> str:
        why = why_not(self.verb, row, self.name)
        if why is None and self.ceilings is not None:
            return self.ceilings.why_not(row)
        return why or ""


def _may(verb: Verb, name: str) -> ColumnElement[bool]:
    """Whether this person may do this to a review: `schemas.transitions.why_not` as a condition."""
    transition = TRANSITIONS[verb]
    return or_(
        ReviewRow.status.in_(transition.statuses(Who.ANYBODY)),
        and_(ReviewRow.status.in_(transition.statuses(Who.CLAIMER)), ReviewRow.claimed_by == name),
        and_(ReviewRow.status.in_(transition.statuses(Who.DECIDER)), ReviewRow.decided_by == name),
    )


def claim(ledger: Ledger, ids: Sequence[int], by: str, *, take_over: bool = False) -> Decided:
    """Set reviews aside for one person, so that nobody else decides about them.

    Args:
        ledger: the ledger.
        ids: the reviews.
        by: the person.
        take_over: also those that somebody else has claimed.
    """
    name = checked_name(by)
    verb = Verb.TAKE_OVER if take_over else Verb.CLAIM
    return _changed(ledger, ids, _Change(verb, name, {"claimed_by": name, "claimed_at": datetime.now(UTC)}))


def release(ledger: Ledger, ids: Sequence[int], by: str) -> Decided:
    """Give claimed reviews back, so that anybody may decide about them."""
    return _changed(ledger, ids, _Change(Verb.RELEASE, checked_name(by), {}))


def reopen(ledger: Ledger, ids: Sequence[int], by: str, *, note: str | None = None) -> Decided:
    """Take back decisions that were not acted on yet: the reviews wait again, for anybody."""
    name = checked_name(by)
    return _changed(ledger, ids, _Change(Verb.REOPEN, name, {"decided_by": name, "note": storable(note)}))


def approve(
    ledger: Ledger,
    which: Sequence[int] | Filter,
    by: str,
    *,
    versions: Mapping[int, int] | None = None,
    confirmed: Totals | None = None,
    **terms: Unpack[ApprovalTerms],
) -> Decided:
    """Allow jobs to be sent, up to a ceiling and for some time.

    Args:
        ledger: the ledger.
        which: the reviews: by id, or all that a filter means in one statement.
        by: the person.
        versions: by id: what was read; a review that was changed since is refused.
        confirmed: what the filter came to when it was confirmed; if it comes to anything else, nothing is changed.
        **terms: how far and how long; see `ApprovalTerms`.

    Raises:
        BadInput: no name, or a ceiling or time that makes no sense.
    """
    name = checked_name(by)
    ceilings = _checked_ceilings(terms)
    now = datetime.now(UTC)
    values = _decision(name, now, terms.get("note")) | {
        "ceiling_nano_usd": ReviewRow.worst_case_nano_usd if ceilings.cost is None else ceilings.cost,
        "ceiling_tokens": ReviewRow.input_tokens if ceilings.tokens is None else ceilings.tokens,
        "expires_at": now + _checked_time(terms.get("expires_in", APPROVAL_HOLDS)),
    }
    change = _Change(
        verb=Verb.APPROVE,
        name=name,
        values=values,
        ceilings=ceilings,
        versions=versions or {},
        confirmed=confirmed,
    )
    return _changed(ledger, which, change)


def _checked_ceilings(terms: ApprovalTerms) -> _Ceilings:
    usd, tokens = terms.get("ceiling_usd"), terms.get("ceiling_tokens")
    if usd is not None and not (usd.is_finite() and 0 <= usd <= MAX_CEILING_USD):
        raise BadInput(f"A ceiling is from 0 to {MAX_CEILING_USD:,} USD; nothing was decided.")
    if tokens is not None and not 0 <= tokens <= MAX_CEILING_TOKENS:
        raise BadInput(f"A ceiling is from 0 to {MAX_CEILING_TOKENS:,} input tokens; nothing was decided.")
    return _Ceilings(None if usd is None else to_nano(usd), tokens)


def _checked_time(expires_in: timedelta) -> timedelta:
    if not timedelta(0) < expires_in <= MAX_APPROVAL_HOLDS:
        raise BadInput(
            f"An approval holds for some time, at most {MAX_APPROVAL_HOLDS.days:,} days; nothing was decided."
        )
    return expires_in


def _decision(name: str, now: datetime, note: str | None) -> dict[str, Any]:
    return {"decided_by": name, "decided_at": now, "note": storable(note)}


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
    values = _decision(name, datetime.now(UTC), note) | _NO_CEILING
    change = _Change(Verb.REJECT, name, values, versions=versions or {}, confirmed=confirmed)
    return _changed(ledger, which, change)


def edit(
    ledger: Ledger,
    review_id: int,
    by: str,
    payload: Payload,
    figures: EditEstimate,
    **terms: Unpack[EditTerms],
) -> Decided:
    """Decide that a changed payload is sent in the job's place, up to the figures it was counted and priced at.

    Args:
        ledger: the ledger.
        review_id: the review.
        by: the person.
        payload: what is to be sent.
        figures: its weight and price, freshly counted.
        **terms: see `EditTerms`.
    """
    name = checked_name(by)
    now = datetime.now(UTC)
    values = _decision(name, now, terms.get("note")) | {
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
        "expires_at": now + APPROVAL_HOLDS,
    }
    version = terms.get("version")
    versions = {} if version is None else {review_id: version}
    with ledger.write() as connection:
        one_at_a_time(connection)
        decided = _by_id(connection, [review_id], _Change(Verb.EDIT, name, values, versions=versions))
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
    expiring = TRANSITIONS[Verb.EXPIRE]
    with ledger.write() as connection:
        one_at_a_time(connection)
        return connection.execute(
            update(ReviewRow)
            .where(ReviewRow.status.in_(expiring.statuses(Who.A_RUN)), ReviewRow.expires_at <= now)
            .values(status=expiring.to, version=ReviewRow.version + 1)
        ).rowcount


def checked_name(by: str) -> str:
    """The name of who decides, fit to be stored; raises BadInput when there is none."""
    name = printable(by.strip())
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise BadInput(
            f"A decision needs the name of who decides, at most {MAX_NAME_CHARACTERS} characters; nothing was decided."
        )
    return name


def _changed(ledger: Ledger, which: Sequence[int] | Filter, change: _Change) -> Decided:
    with ledger.write() as connection:
        one_at_a_time(connection)
        if isinstance(which, Filter):
            return _by_filter(connection, which, change)
        changed, refused = 0, list[RefusedDecision]()
        wanted = list(dict.fromkeys(which))
        for page in pages(wanted):
            part = _by_id(connection, page, change)
            changed += part.changed
            refused += part.refused
    return Decided(changed, tuple(refused))


def _by_filter(connection: Connection, which: Filter, change: _Change) -> Decided:
    meant = matching(which)
    if change.confirmed is not None and totals_within(connection, which) != change.confirmed:
        why = "the selection has changed since it was confirmed; look at it again"
        return Decided(0, (RefusedDecision(None, why),))
    refused = connection.execute(select(*_STANDING).where(*meant, not_(change.allowed))).all()
    changed = _write(connection, [*meant, change.allowed], change)
    return Decided(changed, tuple(RefusedDecision(row.id, change.why_not(row)) for row in refused))


def _by_id(connection: Connection, ids: Sequence[int], change: _Change) -> Decided:
    # a SQL shell knows nothing of our lock, so on PostgreSQL the rows themselves are locked too
    named = ReviewRow.id.in_([review_id for review_id in ids if is_an_id(review_id)])
    query = select(*_STANDING, change.allowed.label("allowed")).where(named)
    standing = {
        row.id: row for row in connection.execute(query.order_by(ReviewRow.id).with_for_update()).all()
    }
    refused: list[RefusedDecision] = []
    going: list[int] = []
    for review_id in ids:
        if why := _refusal(standing.get(review_id), change.versions.get(review_id), change):
            refused.append(RefusedDecision(review_id, why))
        else:
            going.append(review_id)
    changed = _write(connection, [ReviewRow.id.in_(going)], change) if going else 0
    return Decided(changed, tuple(refused))


def _refusal(row: Row[Any] | None, read: int | None, change: _Change) -> str | None:
    """Why a change is refused for a review, of which some version was read; None when it is not."""
    if row is None:
        return "there is no such review"
    if not row.allowed:
        return change.why_not(row)
    if read is not None and read != row.version:
        return f"it was changed since you read it (version {read}, now {row.version})"
    return None


def _write(connection: Connection, where: Sequence[ColumnElement[bool] | TextClause], change: _Change) -> int:
    values = {**change.values, "status": TRANSITIONS[change.verb].to, "version": ReviewRow.version + 1}
    return connection.execute(update(ReviewRow).where(*where).values(values)).rowcount
