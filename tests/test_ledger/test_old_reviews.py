"""Reviews that wait for too long: those that nobody has decided about, and since when the oldest waits."""

from datetime import timedelta

from sqlalchemy import select

from schemas.alert import WaitingReviews
from schemas.review_tables import ReviewRow
from services.ledger.old_reviews import old_reviews
from services.ledger.reviews import claim, reject
from tests.ledgers import parked


def test_only_what_waits_for_longer_than_so_many_days_is_old(ledger):
    parked(ledger, "run-1")
    with ledger.read() as connection:
        made, review = connection.execute(select(ReviewRow.created_at, ReviewRow.id)).first()
    day = timedelta(days=1)
    assert old_reviews(ledger, made + 3 * day, 3) == WaitingReviews(3)
    found = old_reviews(ledger, made + 3 * day + timedelta(hours=1), 3)
    assert found.reviews >= 1
    assert found.oldest == made
    claim(ledger, [review], "ann")
    assert old_reviews(ledger, made + 4 * day, 3) == found
    reject(ledger, [review], "ann")
    assert old_reviews(ledger, made + 4 * day, 3).reviews == found.reviews - 1
