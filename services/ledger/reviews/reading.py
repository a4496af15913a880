"""Reading the review table: lists, totals, one review, its history."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from schemas.ledger import JobRow, ReviewEventRow, ReviewPayloadRow, ReviewRow
from schemas.money import NanoUsd, to_nano
from schemas.review import Filter, JobLimits, Order, Totals
from services.ledger.store import Ledger

_ORDERS: dict[Order, ColumnElement[Any]] = {
    Order.LATEST: ReviewRow.id.desc(),
    Order.OLDEST: ReviewRow.id.asc(),
    Order.DEAREST: func.coalesce(ReviewRow.worst_case_nano_usd, -1).desc(),
    Order.HEAVIEST: func.coalesce(ReviewRow.input_tokens, -1).desc(),
}
_FACETS = {
    "status": ReviewRow.status,
    "reason": ReviewRow.reason,
    "group": ReviewRow.group_name,
    "model": ReviewRow.model,
}


def matching(which: Filter) -> list[ColumnElement[bool]]:
    """A filter as conditions on the review table."""
    asked: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            (ReviewRow.status, which.status),
            (ReviewRow.reason, which.reason),
            (ReviewRow.group_name, which.group),
            (ReviewRow.model, which.model),
            (ReviewRow.run_id, which.run_id),
        )
        if value is not None
    ]
    if which.over_usd is not None:
        asked.append(ReviewRow.worst_case_nano_usd > to_nano(which.over_usd))
    if which.over_tokens is not None:
        asked.append(ReviewRow.input_tokens > which.over_tokens)
    if which.search:
        asked.append(
            or_(
                *(
                    column.icontains(which.search, autoescape=True)
                    for column in (ReviewRow.job_id, ReviewRow.detail, ReviewRow.note)
                )
            )
        )
    return asked


def listed(
    ledger: Ledger,
    which: Filter = Filter(),  # noqa: B008 - frozen
    *,
    limit: int = 50,
    offset: int = 0,
    order: Order = Order.LATEST,
) -> Sequence[Row[Any]]:
    """Reviews, without their payloads.

    Args:
        ledger: the ledger.
        which: only these.
        limit: at most so many.
        offset: past so many.
        order: by age, worst case or weight.

    Returns:
        Rows with the attributes of `ReviewRow`.
    """
    query = select(ReviewRow.__table__).where(*matching(which)).order_by(_ORDERS[order], ReviewRow.id.desc())
    with ledger.read() as connection:
        return connection.execute(query.limit(limit).offset(offset)).all()


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
    """How many of the reviews that a filter means have each status, reason, group and model; most first."""
    found: dict[str, dict[str | None, int]] = {}
    with ledger.read() as connection:
        for name, column in _FACETS.items():
            number = func.count().label("number")
            query = select(column, number).where(*matching(which)).group_by(column)
            rows = connection.execute(query.order_by(number.desc(), column)).tuples()
            found[name] = dict(iter(rows))
    return found


def one_review(ledger: Ledger, review_id: int) -> Row[Any] | None:
    """One review, or None; a row with the attributes of `ReviewRow` and its `payload` and `edited_payload`."""
    query = (
        select(ReviewRow.__table__, ReviewPayloadRow.payload, ReviewPayloadRow.edited_payload)
        .outerjoin(ReviewPayloadRow, ReviewPayloadRow.review_id == ReviewRow.id)
        .where(ReviewRow.id == review_id)
    )
    with ledger.read() as connection:
        return connection.execute(query).first()


def events(ledger: Ledger, review_id: int) -> Sequence[Row[Any]]:
    """What happened to a review, the first first: rows with id, at, by, from_status, to_status, note and ceilings."""
    columns = [column for column in ReviewEventRow.__table__.columns if column.key != "by"]
    query = (
        select(*columns, ReviewEventRow.by.label("by"))
        .where(ReviewEventRow.review_id == review_id)
        .order_by(ReviewEventRow.id)
    )
    with ledger.read() as connection:
        return connection.execute(query).all()


def own_limits(ledger: Ledger, run_id: str, row_number: int) -> JobLimits:
    """The limits that a job brought with it."""
    query = select(JobRow.own_max_input_tokens, JobRow.own_max_cost_nano_usd).where(
        JobRow.run_id == run_id, JobRow.row_number == row_number
    )
    with ledger.read() as connection:
        tokens, cost = connection.execute(query).tuples().first() or (None, None)
    return JobLimits(tokens, None if cost is None else NanoUsd(cost))
