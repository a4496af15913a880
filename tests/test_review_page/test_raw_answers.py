"""What came and could not be read stands on its review's page as text that never runs, and can be accepted there."""

import re

import pytest

from services.ledger import reviews
from tests.browsers import launched_chromium, opened
from tests.strategies import quick_ledger
from tests.test_ledger.test_reviews.table import money, unknown_review, unread_review
from tests.test_review_page.page import browser_of, decide, log_in, token_of
from tests.test_review_page.served_page import served

HOSTILE = (
    "</pre><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    "<svg onload=\"document.title='ran'\">{{ 7 * 7 }}" + "x" * 9_000
)


@pytest.fixture
def office(ledger):
    """A review of what came, its attempt, and a browser whose reviewer has said who they are."""
    review, attempt_id = unread_review(ledger, body=HOSTILE)
    with browser_of(ledger) as client:
        log_in(client)
        client.token = token_of(client.get("/reviews/list"))
        client.review, client.attempt_id = review, attempt_id
        yield client


def accept(browser, **fields):
    given = {"id": str(browser.review.id), "version": str(browser.review.version), "billed": "0.00000003"}
    return decide(browser, "/decide/accept", **given | fields)


def test_it_is_escaped_bounded_and_labelled(office):
    page = office.get(f"/reviews/detail?pk={office.review.id}").text
    assert "What the provider sent for this job, which Weighbridge could not read" in page
    assert f"Attempt {office.attempt_id} of run-1" in page
    assert "&lt;script&gt;document.title=" in page
    assert "<script>document" not in page
    assert "<img src=x" not in page
    assert "<svg onload" not in page
    assert "{{ 7 * 7 }}" in page
    assert f"{len(HOSTILE) - 8_000:,} more bytes are not shown." in page
    assert re.search(r'action="[^"]*/decide/accept"', page)


def test_accepting_is_done_by_whom_the_session_names(office, ledger):
    answer = accept(office, by="Eve")
    assert answer.status_code == 303
    assert "is the answer of its job" in office.get(answer.headers["location"]).text
    found = reviews.one_review(ledger, office.review.id)
    assert (found.status, found.decided_by) == ("sent", "Anna")
    assert money(ledger)["day"] == (0, 30)
    page = office.get(f"/reviews/detail?pk={office.review.id}").text
    assert "/decide/accept" not in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"billed": ""}, "nothing was accepted"),
        ({"billed": "much"}, "nothing was accepted"),
        ({"billed": "-1"}, "nothing was accepted"),
        ({"billed": "NaN"}, "nothing was accepted"),
        ({"billed": "1"}, "more than the"),
        ({"version": "99"}, "changed since you read it"),
        ({"version": ""}, "changed since you read it"),
        ({"id": "999"}, "There is no review 999"),
    ],
)
def test_what_cannot_be_right_accepts_nothing(office, ledger, fields, words):
    answer = accept(office, **fields)
    assert answer.status_code == 303
    back = office.get(f"/reviews/detail?pk={office.review.id}")
    assert words in back.text
    assert money(ledger)["day"] == (100, 0)


def test_another_site_cannot_have_it_accepted(office, ledger):
    foreign = office.post(
        "/decide/accept", data={"id": "1", "billed": "0"}, headers={"Origin": "http://evil.example"}
    )
    assert foreign.status_code == 403
    assert money(ledger)["day"] == (100, 0)


def test_where_nothing_came_nothing_is_offered(ledger):
    review = unknown_review(ledger)
    with browser_of(ledger) as browser:
        log_in(browser)
        page = browser.get(f"/reviews/detail?pk={review.id}").text
    assert "could not read" not in page
    assert "/decide/accept" not in page


def test_in_a_real_browser_nothing_of_it_runs_and_a_reviewer_accepts_it(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    try:
        review, _ = unread_review(ledger, body=HOSTILE)
        with (
            launched_chromium() as chromium,
            served(ledger) as address,
            opened(chromium, address) as page,
        ):
            page.goto(f"{address}/reviews/detail?pk={review.id}")
            assert page.locator("pre.review-raw").inner_text() == HOSTILE[:8_000]
            assert "ran" not in page.title().split()
            page.get_by_text("Accept what came").click()
            page.get_by_label("It was billed, in USD").fill("0.00000003")
            page.get_by_role("button", name="Accept", exact=True).click()
            page.get_by_text("is the answer of its job").wait_for()
            assert page.title() != "ran"
        assert money(ledger)["day"] == (0, 30)
    finally:
        ledger.close()
