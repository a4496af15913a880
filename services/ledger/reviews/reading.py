"""Reading the review table: lists, totals, one review, its history."""

from collections import Counter
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, false, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from schemas.ledger import AttemptRow, JobRow
from schemas.money import NanoUsd, to_nano
from schemas.outcome import AttemptState, ReviewStatus
from schemas.review import Filter, JobLimits, Order, Review, ReviewDetail, ReviewEvent, Totals
from schemas.review_tables import ReviewEventRow, ReviewPayloadRow, ReviewRow
from services.ledger.store import Ledger

#: the largest id that the table can have; a database refuses to compare with a larger one
_MAX_ID = 2**31 - 1
#: what reviews are ordered by when the dearest come first; those without a price come last, in every database
DEARNESS: ColumnElement[int] = func.coalesce(ReviewRow.worst_case_nano_usd, -1)
_ORDERS: dict[Order, ColumnElement[Any]] = {
    Order.LATEST: ReviewRow.id.desc(),
    Order.OLDEST: ReviewRow.id.asc(),
    Order.DEAREST: DEARNESS.desc(),
    Order.HEAVIEST: func.coalesce(ReviewRow.input_tokens, -1).desc(),
}
_FACETS: dict[str, InstrumentedAttribute[Any]] = {
    "status": ReviewRow.status,
    "reason": ReviewRow.reason,
    "group": ReviewRow.group_name,
    "model": ReviewRow.model,
}


def matching(which: Filter) -> list[ColumnElement[bool]]:
    """A filter as conditions on the review table."""
    columns = (
        (ReviewRow.status, which.status),
        (ReviewRow.reason, which.reason),
        (ReviewRow.group_name, which.group),
        (ReviewRow.model, which.model),
        (ReviewRow.run_id, which.run_id),
    )
    if any("\0" in value for value in (which.search, *(value for _, value in columns)) if value):
        # no database text holds a NUL, and PostgreSQL refuses to look for one
        return [false()]
    asked: list[ColumnElement[bool]] = [column == value for column, value in columns if value is not None]
    if which.over_usd is not None:
        asked.append(ReviewRow.worst_case_nano_usd > to_nano(which.over_usd))
    if which.search:
        texts = (ReviewRow.job_id, ReviewRow.detail, ReviewRow.note)
        asked.append(or_(*(column.icontains(which.search, autoescape=True) for column in texts)))
    return asked


def listed(
    ledger: Ledger,
    which: Filter = Filter(),  # noqa: B008 - frozen
    *,
    limit: int = 50,
    offset: int = 0,
    order: Order = Order.LATEST,
) -> list[Review]:
    """Reviews, without their payloads.

    Args:
        ledger: the ledger.
        which: only these.
        limit: at most this many.
        offset: without the first this many.
        order: by age, worst case or weight.
    """
    query = select(ReviewRow.__table__).where(*matching(which)).order_by(_ORDERS[order], ReviewRow.id.desc())
    with ledger.read() as connection:
        rows = connection.execute(query.limit(limit).offset(offset)).all()
    return [Review(**_values(row)) for row in rows]


def totals(ledger: Ledger, which: Filter = Filter()) -> Totals:  # noqa: B008 - frozen
    """How many reviews a filter means, and what they come to."""
    with ledger.read() as connection:
        return totals_within(connection, which)


def totals_within(connection: Connection, which: Filter) -> Totals:
    """As `totals`, inside the caller's transaction."""
    row = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(ReviewRow.worst_case_nano_usd), 0),
            func.coalesce(func.sum(ReviewRow.input_tokens), 0),
            func.count() - func.count(ReviewRow.worst_case_nano_usd),
            func.coalesce(func.sum(ReviewRow.version), 0),
        )
        .select_from(ReviewRow)
        .where(*matching(which))
    ).one()
    count, worst_case, tokens, unpriced, changes = (int(value) for value in row)
    return Totals(count, NanoUsd(worst_case), tokens, unpriced, changes)


def facets(ledger: Ledger, which: Filter = Filter()) -> dict[str, dict[str | None, int]]:  # noqa: B008 - frozen
    """How many of the reviews that a filter means have each status, reason, group and model; most first.

    One statement reads them all at once: there are few combinations, and many reviews.
    """
    columns = list(_FACETS.values())
    query = select(*columns, func.count()).where(*matching(which)).group_by(*columns)
    counted: dict[str, Counter[str | None]] = {name: Counter() for name in _FACETS}
    with ledger.read() as connection:
        for *values, number in connection.execute(query):
            for name, value in zip(_FACETS, values, strict=True):
                counted[name][value] += number
    return {name: dict(counter.most_common()) for name, counter in counted.items()}


def one_review(ledger: Ledger, review_id: int) -> ReviewDetail | None:
    """One review with its payloads, or None."""
    if not is_an_id(review_id):
        return None
    query = (
        select(ReviewRow.__table__, ReviewPayloadRow.payload, ReviewPayloadRow.edited_payload)
        .outerjoin(ReviewPayloadRow, ReviewPayloadRow.review_id == ReviewRow.id)
        .where(ReviewRow.id == review_id)
    )
    with ledger.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else detail_of(row)


def is_an_id(number: int) -> bool:
    """Whether a review can have this id."""
    return 0 < number <= _MAX_ID


def detail_of(row: Row[Any]) -> ReviewDetail:
    """A row of all columns of `reviews`, then payload and edited_payload."""
    return ReviewDetail(**_values(row))


def _values(row: Row[Any]) -> dict[str, Any]:
    return {**row._mapping, "status": ReviewStatus(row.status)}  # noqa: SLF001 - the public name of a Row's mapping


def events(ledger: Ledger, review_id: int) -> list[ReviewEvent]:
    """What happened to a review, the first first."""
    columns = [getattr(ReviewEventRow, column.name) for column in fields(ReviewEvent)]
    query = select(*columns).where(ReviewEventRow.review_id == review_id).order_by(ReviewEventRow.id)
    with ledger.read() as connection:
        rows = connection.execute(query).tuples().all()
    return [ReviewEvent(*row) for row in rows]


def in_doubt(*fingerprints: Any) -> ColumnElement[bool]:
    """Whether an attempt at a review's job, with one of these payloads, may have been billed.

    Args:
        fingerprints: columns of `reviews`: the payload's, the edit's, or both.
    """
    attempt = (
        select(AttemptRow.attempt_id)
        .where(
            AttemptRow.job_id == ReviewRow.job_id,
            or_(*(AttemptRow.fingerprint == fingerprint for fingerprint in fingerprints)),
            AttemptRow.state == AttemptState.UNKNOWN,
        )
        .correlate(ReviewRow)
    )
    return attempt.exists()


def own_limits(ledger: Ledger, run_id: str, row_number: int) -> JobLimits:
    """The limits that a job brought with it."""
    query = select(JobRow.own_max_input_tokens, JobRow.own_max_cost_nano_usd).where(
        JobRow.run_id == run_id, JobRow.row_number == row_number
    )
    with ledger.read() as connection:
        tokens, cost = connection.execute(query).tuples().first() or (None, None)
    return JobLimits(tokens, None if cost is None else NanoUsd(cost))
