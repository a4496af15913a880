"""The pending reviews before and after one, so that a person can go through them without a list."""

from dataclasses import replace

from sqlalchemy import ColumnElement, TextClause, and_, or_, select

from schemas.outcome import ReviewStatus
from schemas.review import Filter, Neighbours
from schemas.review_tables import ReviewRow
from services.ledger.review_lines import is_an_id
from services.ledger.reviews.reading import DEARNESS, matching
from services.ledger.store import Ledger


def neighbours(ledger: Ledger, which: Filter, review_id: int) -> Neighbours:
    """The pending reviews around one, the dearest first and, of equal ones, the latest first.

    Args:
        ledger: the ledger.
        which: only these; their status is always pending.
        review_id: the review, of whatever status.
    """
    if not is_an_id(review_id):
        return Neighbours(None, None, None)
    asked: tuple[ColumnElement[bool] | TextClause, ...] = (
        *matching(replace(which, status=ReviewStatus.PENDING)),
        ReviewRow.id != review_id,
    )
    forwards = (DEARNESS.desc(), ReviewRow.id.desc())
    backwards = (DEARNESS.asc(), ReviewRow.id.asc())
    ids = select(ReviewRow.id).where(*asked).limit(1)
    with ledger.read() as connection:
        dearness = connection.scalar(select(DEARNESS).where(ReviewRow.id == review_id))
        first = connection.scalar(ids.order_by(*forwards))
        if dearness is None:
            return Neighbours(None, None, first)
        before, after = _sides(dearness, review_id)
        return Neighbours(
            previous=connection.scalar(ids.where(before).order_by(*backwards)),
            next=connection.scalar(ids.where(after).order_by(*forwards)),
            first=first,
        )


def _sides(dearness: int, review_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What stands before a review of this worst case and id, and what stands after it."""
    equal = DEARNESS.is_not_distinct_from(dearness)
    before = or_(dearness < DEARNESS, and_(equal, ReviewRow.id > review_id))
    after = or_(dearness > DEARNESS, and_(equal, ReviewRow.id < review_id))
    return before, after
