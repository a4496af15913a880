"""From one review to the next, in the list that a person came from; and nowhere outside the page."""

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update

from schemas.review_tables import ReviewRow
from tests.test_review_page.page import decide, statuses

TEAM_1 = "/reviews/list?group=team-1"


def way(page, rel):
    """The review that a link of a page leads to, and the list that it remembers; None: there is no such link."""
    found = re.search(rf'rel="{rel}"[^>]* href="([^"]+)"', page.text)
    return place(unescape(found.group(1))) if found else None


def place(url):
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return (parts.path, query.get("pk", [""])[0], query.get("_origin", [""])[0])


def test_the_dearest_comes_first_and_what_has_no_price_last(browser, ledger):
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).where(ReviewRow.id == 4).values(worst_case_nano_usd=None))
    page = browser.get("/reviews/list").text
    assert re.findall(r">(job-\d)<", page) == ["job-1", "job-2", "job-0", "job-3"]


def test_a_review_leads_to_the_one_before_and_the_one_after(browser):
    # dearest first: 4 and 2 at 2 USD, then 3 and 1 at 1 USD
    assert way(browser.get("/reviews/detail?pk=4"), "prev") is None
    assert way(browser.get("/reviews/detail?pk=4"), "next") == ("/reviews/detail", "2", "")
    assert way(browser.get("/reviews/detail?pk=2"), "next") == ("/reviews/detail", "3", "")
    assert way(browser.get("/reviews/detail?pk=2"), "prev") == ("/reviews/detail", "4", "")
    assert way(browser.get("/reviews/detail?pk=1"), "next") is None


def test_the_filter_of_the_list_stays(browser):
    page = browser.get("/reviews/detail", params={"pk": "4", "_origin": TEAM_1})
    assert way(page, "next") == ("/reviews/detail", "2", TEAM_1)
    assert f'href="{TEAM_1}"' in page.text
    page = browser.get("/reviews/detail", params={"pk": "2", "_origin": TEAM_1})
    assert way(page, "next") is None
    # and the list itself gives it to each review
    assert way(browser.get(TEAM_1), "next") is None
    assert "_origin=%2Freviews%2Flist%3Fgroup%3Dteam-1" in browser.get(TEAM_1).text


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_after_a_decision_the_next_pending_review_comes_and_at_the_end_the_list(browser, ledger, verb):
    first = decide(browser, verb=verb, id="2", version="1", origin=TEAM_1)
    # nothing stands after it, so what was skipped comes
    assert place(first.headers["location"]) == ("/reviews/detail", "4", TEAM_1)
    assert "1 job" in browser.get(first.headers["location"]).text
    last = decide(browser, verb=verb, id="4", version="1", origin=TEAM_1)
    assert last.headers["location"] == TEAM_1
    assert statuses(ledger)[3] == "pending"


def test_what_did_not_happen_and_what_leaves_something_to_decide_stays_where_it_is(browser):
    for fields in (
        {"verb": "approve", "version": "7"},
        {"verb": "approve", "version": "1", "ceiling_usd": "much"},
        {"verb": "claim", "version": "1"},
        {"verb": "release", "version": "2"},
    ):
        answer = decide(browser, id="4", origin=TEAM_1, **fields)
        assert place(answer.headers["location"]) == ("/reviews/detail", "4", TEAM_1)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test/reviews/list",
        "//evil.test/reviews/list",
        "/\\evil.test/reviews/list",
        "javascript:alert(1)",
        "/decide",
        "http://[",
        "",
    ],
)
def test_a_list_that_is_not_of_this_page_is_forgotten(browser, origin):
    page = browser.get("/reviews/detail", params={"pk": "4", "_origin": origin})
    assert page.status_code == 200
    assert way(page, "next") == ("/reviews/detail", "2", "")
    assert "evil" not in page.text
    answer = decide(browser, verb="reject", id="4", version="1", origin=origin)
    assert place(answer.headers["location"]) == ("/reviews/detail", "2", "")
