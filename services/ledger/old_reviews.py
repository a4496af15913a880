"""Reviews that wait for a person for too long."""

from datetime import datetime, timedelta

from sqlalchemy import func, select

from schemas.alert import WaitingReviews
from schemas.outcome import WAITING_STATUSES
from schemas.review_tables import ReviewRow
from services.ledger.store import Ledger


def old_reviews(ledger: Ledger, now: datetime, days: int) -> WaitingReviews:
    """The reviews that nobody has decided about for longer than this many days."""
    query = select(func.count(), func.min(ReviewRow.created_at)).where(
        ReviewRow.status.in_(WAITING_STATUSES), ReviewRow.created_at < now - timedelta(days=days)
    )
    with ledger.read() as connection:
        count, oldest = connection.execute(query).one()
    return WaitingReviews(days, count, oldest)
