"""Decisions from the page: made once, in the name of whoever is logged in, or refused with a sentence."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from schemas.errors import RunFailed
from schemas.review_tables import ReviewRow
from services.ledger import reviews
from tests.test_review_page.page import browser_of, decide, log_in, statuses, token_of

BOTH = pytest.mark.parametrize(
    "ledger_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)


@BOTH
def test_one_is_approved_by_whom_the_session_names(browser, ledger):
    answer = decide(
        browser, verb="approve", id="1", version="1", ceiling_usd="1.50", ceiling_tokens="120", by="Eve"
    )
    assert answer.status_code == 303
    with ledger.read() as connection:
        row = connection.execute(select(ReviewRow.__table__).where(ReviewRow.id == 1)).one()
    assert (row.status, row.decided_by, row.ceiling_nano_usd, row.ceiling_tokens) == (
        "approved",
        "Anna",
        1_500_000_000,
        120,
    )


def test_who_read_an_older_version_is_told_so_and_overwrites_nothing(browser, ledger):
    decide(browser, verb="claim", id="1", version="1")
    answer = decide(browser, verb="reject", id="1", version="1")
    assert "changed since you read it" in browser.get(answer.headers["location"]).text
    assert statuses(ledger)[1] == "claimed"


def test_what_somebody_else_claimed_is_left_to_them(browser, ledger):
    with browser_of(ledger) as other:
        log_in(other, "Ben")
        other.token = token_of(other.get("/reviews/list"))
        decide(other, verb="claim", id="2", version="1")
    answer = decide(browser, verb="approve", id="2", version="2", ceiling_usd="9")
    assert "claimed by Ben" in browser.get(answer.headers["location"]).text
    assert statuses(ledger)[2] == "claimed"


@BOTH
def test_all_that_match_are_decided_only_as_they_were_confirmed(browser, ledger):
    action = (
        "/_api/reviews/action?name=approve&all=1&_list_query=%3Fgroup%3Dteam-1%26status%3Dpending%26q%3Djob"
    )
    page = browser.post(action, data={"csrftoken": browser.token})
    assert "2 jobs, at most 4.00 USD" in page.text
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    form["back"] = form["back"].replace("&amp;", "&")
    decide(browser, verb="claim", id="2", version="1")
    stale = browser.post("/decide/many", data=form)
    assert "has changed since it was confirmed" in browser.get(stale.headers["location"]).text
    assert set(statuses(ledger).values()) == {"pending", "claimed"}
    decide(browser, verb="release", id="2", version="2")
    page = browser.post(action, data={"csrftoken": browser.token})
    form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    form["back"] = form["back"].replace("&amp;", "&")
    browser.post("/decide/many", data=form)
    assert statuses(ledger) == {1: "pending", 2: "approved", 3: "pending", 4: "approved"}


@pytest.mark.parametrize(
    "fields",
    [
        {"verb": "approve", "ceiling_usd": "much"},
        {"verb": "approve", "ceiling_usd": "-1"},
        {"verb": "approve", "ceiling_usd": "NaN"},
        {"verb": "approve", "ceiling_tokens": "1.5"},
        {"verb": "approve", "days": "-1"},
        {"verb": "approve", "days": "0"},
        {"verb": "approve", "days": "999999999999999999"},
        {"verb": "approve", "days": "9999999"},
        {"verb": "approve", "ceiling_usd": "999999999"},
        {"verb": "approve", "ceiling_tokens": "999999999999999999"},
        {"verb": "approve", "version": "many"},
        {"verb": "park"},
        {"verb": "edit"},
        {"verb": "publish"},
        {},
    ],
)
def test_what_cannot_be_read_decides_nothing(browser, ledger, fields):
    answer = decide(browser, **{"id": "1", "version": "1"} | fields)
    assert answer.status_code == 303
    assert "nothing was decided" in browser.get(answer.headers["location"]).text
    assert set(statuses(ledger).values()) == {"pending"}


@pytest.mark.parametrize("path", ["/decide/one", "/decide/many", "/_api/reviews/action?name=reject&pks=1"])
def test_a_get_decides_nothing(browser, ledger, path):
    assert browser.get(path).status_code in (404, 405)
    assert set(statuses(ledger).values()) == {"pending"}


@pytest.mark.parametrize(
    "path",
    ["/_api/reviews/action?name=delete&pks=1", "/_api/reviews/row-action?name=delete&pk=1"],
)
def test_the_library_s_own_ways_to_change_rows_are_closed(browser, ledger, path):
    assert browser.post(path, headers={"X-CSRFToken": browser.token}, data={"x": "y"}).status_code == 400
    for page in ("create", "edit?pk=1"):
        answer = browser.post(f"/reviews/{page}", data={"csrftoken": browser.token, "status": "approved"})
        assert answer.status_code == 403
    assert len(statuses(ledger)) == 4
    assert set(statuses(ledger).values()) == {"pending"}


@BOTH
def test_an_id_that_no_review_can_have_is_named_among_the_refused(browser, ledger):
    answer = decide(browser, "/decide/many", verb="reject", versions="1:1 99999999999:1 999999999999999:9")
    page = browser.get(answer.headers["location"]).text
    assert "1 job rejected" in page
    assert "review 99999999999: there is no such review" in page
    assert statuses(ledger)[1] == "rejected"
    for path in ("/decide/one", "/decide/many"):
        assert decide(browser, path, id="999999999999999999", verb="reject", versions="x").status_code == 303


@BOTH
def test_a_note_that_no_database_takes_is_kept_as_well_as_can_be(browser, ledger):
    decide(browser, verb="reject", id="1", version="1", note="a\0b")
    assert (statuses(ledger)[1], reviews.one_review(ledger, 1).note) == ("rejected", "a?b")


@pytest.mark.parametrize("days", ["", "1", "3650"])
def test_an_approval_holds_as_many_days_as_the_form_says(browser, ledger, days):
    decide(browser, verb="approve", id="1", version="1", days=days)
    found = reviews.one_review(ledger, 1)
    assert found.expires_at - found.decided_at == timedelta(days=int(days or 14))


@BOTH
def test_a_claim_is_taken_over_given_back_and_a_decision_reopened_with_a_note(browser, ledger):
    with browser_of(ledger) as other:
        log_in(other, "Ben")
        other.token = token_of(other.get("/reviews/list"))
        decide(other, verb="claim", id="1", version="1")
    decide(browser, verb="take_over", id="1", version="2")
    assert reviews.one_review(ledger, 1).claimed_by == "Anna"
    decide(browser, verb="release", id="1", version="3")
    decide(browser, verb="reject", id="1", version="4")
    decide(browser, verb="reopen", id="1", version="5", note="once more")
    assert [event.to_status for event in reviews.events(ledger, 1)] == [
        "pending",
        "claimed",
        "claimed",
        "pending",
        "rejected",
        "pending",
    ]
    assert reviews.one_review(ledger, 1).note == "once more"


def test_claiming_cannot_be_done_to_all_that_match(browser, ledger):
    answer = decide(browser, "/decide/many", verb="claim", back="status=pending")
    assert "nothing was decided" in browser.get(answer.headers["location"]).text
    assert set(statuses(ledger).values()) == {"pending"}


def test_a_ledger_that_does_not_answer_is_a_sentence_and_not_an_error_page(browser, ledger, monkeypatch):
    def fails(*_args, **_more):
        raise RunFailed("The ledger is locked; nothing was decided.")

    monkeypatch.setattr(reviews, "reject", fails)
    for path in ("/decide/one", "/decide/many"):
        answer = decide(browser, path, verb="reject", id="1", version="1", versions="1:1")
        assert answer.status_code == 303
        assert "The ledger is locked" in browser.get(answer.headers["location"]).text
