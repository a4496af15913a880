"""Lists, totals and facets of reviews mean what their filter says."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import insert, text

from schemas.ledger import BudgetRow
from schemas.outcome import ReviewStatus
from schemas.review import Filter, JobLimits, Order, Review, ReviewDetail, ReviewEvent
from schemas.review_tables import ReviewEventRow, ReviewPayloadRow, ReviewRow
from services.ledger import jobs, reviews
from tests.strategies import begin, job
from tests.test_ledger.test_reviews.table import sql, waiting


def test_filters_mean_what_they_say(ledger, three):
    sql(ledger, "UPDATE reviews SET note='100% Sure_' WHERE id=:id", id=three[2])
    for which, count in [
        (Filter(over_usd=Decimal(2)), 1), (Filter(search="JOB-1"), 1),
        (Filter(search="100% sure"), 1), (Filter(search="%"), 1), (Filter(run_id="run-2"), 0),
        (Filter(model="claude-opus-5-5", reason="over_cost_limit"), 3),
    ]:  # fmt: skip
        assert (which, len(reviews.listed(ledger, which))) == (which, count)
        assert reviews.totals(ledger, which).count == count
    assert [row.id for row in reviews.listed(ledger, order="dearest", limit=2, offset=1)] == [
        three[1],
        three[0],
    ]


def test_views_say_what_waits_and_what_is_left_today(ledger, three):
    sql(ledger, "UPDATE reviews SET status='rejected', decided_by='ana' WHERE id=:id", id=three[0])
    today = datetime.now(UTC).date()
    usd = 10**9
    with ledger.write() as connection:
        connection.execute(
            insert(BudgetRow),
            [
                {"scope": scope, "period": str(period)[: 7 if scope == "month" else 10], "group_name": group,
                 "cap_nano_usd": 10 * usd, "held_nano_usd": usd, "settled_nano_usd": 2 * usd}
                for scope, period, group in [
                    ("day", today, ""), ("day", today, "red"), ("day", today - timedelta(days=3), ""),
                    ("month", today, ""), ("month", today - timedelta(days=40), ""), ("run", "run-1", ""),
                ]
            ],
        )  # fmt: skip
    with ledger.read() as connection:
        pending = connection.execute(text("SELECT * FROM reviews_pending ORDER BY id")).all()
        spend = connection.execute(text("SELECT * FROM spend_today ORDER BY scope, group_name")).all()
    assert [row.id for row in pending] == three[1:]
    assert "payload" not in pending[0]._mapping
    assert (pending[0].job_id, pending[0].reason, Decimal(pending[0].worst_case_usd)) == (
        "job-1",
        "over_cost_limit",
        2,
    )
    assert [(row.scope, row.group_name, float(row.left_usd)) for row in spend] == [
        ("day", "all", 7), ("day", "red", 7), ("month", "all", 7)
    ]  # fmt: skip


def test_a_review_has_every_column_and_only_one_s_detail_has_payloads(ledger, three):
    columns = [column.name for column in ReviewRow.__table__.columns]
    payloads = [column.name for column in ReviewPayloadRow.__table__.columns if not column.primary_key]
    assert [field.name for field in fields(Review)] == columns
    assert [field.name for field in fields(ReviewDetail)] == columns + payloads
    assert {field.name for field in fields(ReviewEvent)} == {
        attribute.key for attribute in ReviewEventRow.__mapper__.column_attrs
    }
    [last, *_] = reviews.listed(ledger)
    detail = reviews.one_review(ledger, last.id)
    assert [getattr(detail, name) for name in columns] == [getattr(last, name) for name in columns]
    assert (last.id, last.status, detail.payload, detail.standing) == (
        three[2],
        ReviewStatus.PENDING,
        "{}",
        "{}",
    )


@pytest.mark.parametrize("review_id", [0, -1, 10**6, 2**31, 10**30])
def test_a_review_that_is_not_there_is_none(ledger, three, review_id):
    assert reviews.one_review(ledger, review_id) is None


@pytest.mark.parametrize("name", ["status", "reason", "group", "model", "run_id", "search"])
def test_a_text_that_no_database_holds_matches_nothing(ledger, three, name):
    which = Filter(**{name: "a\0b"})
    assert reviews.listed(ledger, which) == []
    assert reviews.totals(ledger, which).count == 0
    assert reviews.approve(ledger, which, "ana") == (reviews.reject(ledger, which, "ana"))


def test_facets_count_what_a_filter_means_most_first(ledger, three):
    waiting(ledger, 4, start=3, group_name="red", reason="no_route", model=None)
    waiting(ledger, 1, start=7, group_name="blue")
    reviews.claim(ledger, three[:2], "ana")
    assert reviews.facets(ledger) == {
        "status": {"pending": 6, "claimed": 2},
        "reason": {"over_cost_limit": 4, "no_route": 4},
        "group": {"red": 4, None: 3, "blue": 1},
        "model": {"claude-opus-5-5": 4, None: 4},
    }
    assert list(reviews.facets(ledger)["group"]) == ["red", None, "blue"]
    assert reviews.facets(ledger, Filter(status="claimed")) == {
        "status": {"claimed": 2},
        "reason": {"over_cost_limit": 2},
        "group": {None: 2},
        "model": {"claude-opus-5-5": 2},
    }
    assert reviews.facets(ledger, Filter(group="green")) == {
        "status": {},
        "reason": {},
        "group": {},
        "model": {},
    }


@pytest.mark.parametrize("order", list(Order))
def test_each_order_is_one_of_all_reviews(ledger, three, order):
    seen = [review.id for review in reviews.listed(ledger, order=order)]
    assert seen == (three if order == Order.OLDEST else three[::-1])


def test_the_limits_that_a_job_brought_are_found_again(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0, max_input_tokens=7), job(1, text="b", max_cost=9)], [])
    assert reviews.own_limits(ledger, "run-1", 0) == JobLimits(7, None)
    assert reviews.own_limits(ledger, "run-1", 1) == JobLimits(None, 9)
    assert reviews.own_limits(ledger, "run-1", 2) == JobLimits(None, None)
