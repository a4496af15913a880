"""Whoever goes from one pending review to the next reads each of them once, the dearest first."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from schemas.outcome import ReviewStatus
from schemas.review import Filter, Neighbours, Order
from schemas.review_tables import ReviewRow
from services.ledger import reviews
from tests.strategies import begin
from tests.test_ledger.test_reviews.table import sql, waiting

PENDING = Filter(status=ReviewStatus.PENDING)


@given(costs=st.lists(st.none() | st.integers(0, 3), min_size=6, max_size=6))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_walk_reads_each_pending_review_once_in_the_order_of_the_list(ledger, costs):
    ids = [row.id for row in reviews.listed(ledger)]
    if not ids:
        begin(ledger)
        ids = waiting(ledger, 6)
    with ledger.write() as connection:
        for review_id, cost in zip(ids, costs, strict=True):
            connection.execute(
                update(ReviewRow).where(ReviewRow.id == review_id).values(worst_case_nano_usd=cost)
            )
    wanted = [row.id for row in reviews.listed(ledger, PENDING, order=Order.DEAREST)]
    around = [reviews.neighbours(ledger, PENDING, review_id) for review_id in wanted]
    assert [found.next for found in around] == [*wanted[1:], None]
    assert [found.previous for found in around] == [None, *wanted[:-1]]
    assert [found.first for found in around] == [wanted[1], *wanted[:1] * 5]
    assert [found.to_decide for found in around] == [*wanted[1:], wanted[0]]


def test_only_what_waits_and_the_filter_means_is_gone_to(ledger, three):
    low, middle, high = three
    sql(ledger, "UPDATE reviews SET status='rejected', decided_by='ana' WHERE id=:id", id=middle)
    # one that was decided still has its place
    assert reviews.neighbours(ledger, Filter(), middle) == Neighbours(previous=high, next=low, first=high)
    assert reviews.neighbours(ledger, Filter(status="rejected"), high).next == low
    assert reviews.neighbours(ledger, Filter(search="job-0"), high) == Neighbours(None, low, low)
    assert reviews.neighbours(ledger, Filter(search="nowhere"), high) == Neighbours(None, None, None)


@pytest.mark.parametrize(("review_id", "first"), [(0, False), (10**12, False), (999, True)])
def test_a_review_that_is_not_there_has_no_neighbours(ledger, three, review_id, first):
    found = reviews.neighbours(ledger, PENDING, review_id)
    assert (found.previous, found.next, found.first) == (None, None, three[2] if first else None)
