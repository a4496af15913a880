"""What a filter means is written once: to Python's own SQLite and to SQLAlchemy, for a list and for a decision."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, insert, select

from schemas.review import Filter, Order
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger import reviews
from services.ledger.asking import asking
from services.ledger.review_lines import conditions, events_by, listed_by, one_by, totals_by
from services.ledger.reviews.reading import matching
from tests.strategies import begin, quick_ledger
from tests.test_ledger.test_reviews.table import waiting

TEXTS = st.sampled_from(["", "job", "JOB-1", "%", "_", "/", "a/b", "100%", "'", ":x", "a\0b", "ä"])
FILTERS = st.builds(
    Filter,
    status=st.sampled_from([None, "pending", "claimed", "sent"]),
    reason=st.sampled_from([None, "over_cost_limit", "no_route"]),
    group=st.sampled_from([None, "red", "blue"]),
    model=st.sampled_from([None, "claude-opus-5-5"]),
    over_usd=st.sampled_from([None, Decimal(0), Decimal(1), Decimal("1.5")]),
    search=st.one_of(st.none(), TEXTS),
    run_id=st.sampled_from([None, "run-1", "run-2"]),
)


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """A ledger with seven reviews of two groups and reasons, one of them claimed; its URL with it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('reviews')}/ledger.db"
    ledger = quick_ledger(url)
    begin(ledger)
    waiting(ledger, 3)
    waiting(ledger, 2, start=3, group_name="red", reason="no_route", model=None, detail="100% a/b 'x'")
    waiting(ledger, 2, start=5, group_name="blue", note="_%")
    reviews.claim(ledger, [1], "ana")
    yield ledger, url
    ledger.close()


@given(which=FILTERS, order=st.sampled_from(Order), limit=st.integers(1, 9), offset=st.integers(0, 3))
def test_a_look_without_sqlalchemy_sees_what_the_ledger_sees(seven, which, order, limit, offset):
    ledger, url = seven
    with asking(url) as ask:
        seen = listed_by(ask, which, limit=limit, offset=offset, order=order)
        total = totals_by(ask, which)
    assert seen == reviews.listed(ledger, which, limit=limit, offset=offset, order=order)
    assert total == reviews.totals(ledger, which)
    with ledger.read() as connection:
        means = connection.scalar(select(func.count()).select_from(ReviewRow).where(*matching(which)))
    assert total.count == means
    assert len(seen) == max(0, min(limit, means - offset))


@given(search=TEXTS.filter(bool))
def test_a_text_is_looked_for_as_it_is_written(seven, search):
    ledger, _ = seven
    found = {review.id for review in reviews.listed(ledger, Filter(search=search))}
    texts = {
        review.id: "\n".join(filter(None, (review.job_id, review.detail, review.note)))
        for review in reviews.listed(ledger)
    }
    assert found == {review_id for review_id, text in texts.items() if search.lower() in text.lower()}


def test_one_review_and_its_history_are_those_of_the_ledger(seven):
    ledger, url = seven
    with asking(url) as ask:
        one, events = one_by(ask, 1), events_by(ask, 1)
        assert one_by(ask, 10**6) is None
        assert one_by(ask, 2**31) is None
    assert one == reviews.one_review(ledger, 1)
    assert events == reviews.events(ledger, 1)
    assert [(event.to_status, event.by) for event in events][-1] == ("claimed", "ana")


def test_a_payload_comes_with_the_one_review_and_with_no_other(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    ledger = quick_ledger(url)
    begin(ledger)
    waiting(ledger, 2)
    with ledger.write() as connection:
        connection.execute(ReviewPayloadRow.__table__.delete())
        connection.execute(insert(ReviewPayloadRow), [{"review_id": 2, "payload": '{"a":1}'}])
    ledger.close()
    with asking(url) as ask:
        assert (one_by(ask, 1).payload, one_by(ask, 2).payload) == (None, '{"a":1}')


def test_a_filter_without_a_word_asks_nothing():
    assert conditions(Filter()) == {}
    assert conditions(Filter(search="")) == {}
