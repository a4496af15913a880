"""The list shows what its address asks, and a review what may be done to it."""

import re

import pytest
from sqlalchemy import update

from schemas.review import APPROVAL_HOLDS
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from tests.test_review_page.page import decide

BOTH = pytest.mark.parametrize(
    "ledger_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)


@BOTH
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"job-0", "job-1", "job-2", "job-3"}),
        ("?group=team-1", {"job-1", "job-3"}),
        ("?over=1.5", {"job-1", "job-3"}),
        ("?q=JOB-2", {"job-2"}),
        ("?q=job%25", set()),
        ("?status=approved", set()),
        (
            "?status=all&reason=over_cost_limit&model=claude-haiku-5-5",
            {"job-0", "job-1", "job-2", "job-3"},
        ),
        ("?page=9", set()),
    ],
)
def test_a_list_shows_what_its_address_asks(browser, query, found):
    page = browser.get(f"/reviews/list{query}")
    assert page.status_code == 200
    assert set(re.findall(r">(job-\d)<", page.text)) == found


@pytest.mark.parametrize(
    "query", ["?sort=payload__asc", "?page=x", "?page_size=99999999", "?status=%00&over=1e999"]
)
def test_an_address_that_makes_no_sense_does_no_harm(browser, query):
    page = browser.get(f"/reviews/list{query}")
    assert page.status_code in (200, 400)
    assert len(re.findall(r">(job-\d)<", page.text)) in (0, 4)


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999", "", "1 OR 1=1"])
def test_a_review_that_is_not_there_is_a_404(browser, pk):
    assert browser.get("/reviews/detail", params={"pk": pk}).status_code == 404


@BOTH
@pytest.mark.parametrize("name", ["q", "reason", "group", "model"])
def test_a_text_that_no_database_holds_matches_nothing(browser, name):
    page = browser.get("/reviews/list", params={name: "a\0b"})
    assert page.status_code == 200
    assert re.findall(r">(job-\d)<", page.text) == []


def test_each_select_offers_what_there_is_with_how_many_have_it(browser):
    decide(browser, verb="reject", id="1", version="1")
    # the numbers are those of the status that is shown, some seconds old at most
    for status, count in (("pending", 4), ("rejected", 1), ("all", 4)):
        page = browser.get(f"/reviews/list?status={status}").text
        assert f"over cost limit ({count})" in page
        assert f"claude-haiku-5-5 ({count})" in page
    assert "team-1 (2)" in browser.get("/reviews/list").text


@pytest.mark.parametrize(
    ("change", "name", "offered"),
    [
        ({}, "Anna", {"approve", "reject", "claim"}),
        ({"status": "claimed", "claimed_by": "Anna"}, "Anna", {"approve", "reject", "release"}),
        ({"status": "claimed", "claimed_by": "Ben"}, "Anna", {"take_over"}),
        ({"status": "approved", "decided_by": "Anna"}, "Anna", {"approve", "reject", "reopen"}),
        ({"status": "approved", "decided_by": "Ben"}, "Anna", {"reopen"}),
        ({"status": "rejected", "decided_by": "Anna"}, "Anna", {"reopen"}),
        ({"status": "sent"}, "Anna", set()),
    ],
)
def test_a_review_offers_what_this_person_may_do(browser, ledger, change, name, offered):
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).where(ReviewRow.id == 1).values(change or {"note": "hm"}))
    page = browser.get("/reviews/detail?pk=1").text
    assert set(re.findall(r'name="verb" value="(\w+)"', page)) == offered


def test_the_form_offers_the_usual_time_and_the_figures_as_they_are(browser):
    page = browser.get("/reviews/detail?pk=2").text
    fields = dict(re.findall(r'name="(\w+)" inputmode="\w+" value="([^"]*)"', page))
    assert fields == {"ceiling_usd": "2.00", "ceiling_tokens": "100", "days": str(APPROVAL_HOLDS.days)}


def test_a_review_whose_payload_was_pruned_says_so(browser, ledger):
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(payload=None))
    assert "no longer kept" in browser.get("/reviews/detail?pk=1").text


def test_an_edited_review_shows_both_payloads(browser, ledger):
    other = '{"max_tokens": 9, "messages": [{"role": "user", "content": "in its place"}]}'
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(edited_payload=other))
    page = browser.get("/reviews/detail?pk=1").text
    assert page.index("in its place") < page.index("As it was before it was edited") < page.index(">n 0<")
