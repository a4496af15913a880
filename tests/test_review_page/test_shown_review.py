"""Around a payload: where its run is shown, who shares its answer, and what is left when it cannot be read."""

import pytest
from sqlalchemy import insert, text, update

from schemas.ledger import JobRow, RunRow
from schemas.review_tables import ReviewPayloadRow
from tests.test_review_page.page import browser_of, decide, log_in, statuses, token_of
from tests.test_review_page.served_page import weigh_lightly

BROKEN = {
    "no JSON": "not JSON at all",
    "cut off": '{"messages": [{"role": "user", "content": "hel',
    "a number": "5",
    "no messages": '{"max_tokens": 9}',
    "messages that are none": '{"messages": 5}',
    "nested too deeply": "[" * 100_000,
}


def stored(ledger, payload):
    with ledger.write() as connection:
        connection.execute(update(ReviewPayloadRow).values(payload=payload))


def bytes_stored(ledger):
    """What SQLite calls text and Python cannot read."""
    with ledger.write() as connection:
        connection.execute(text("UPDATE review_payloads SET payload = CAST(x'ff00fe' AS TEXT)"))


def assert_only_rejecting_is_left(ledger):
    with browser_of(ledger, weigh=weigh_lightly) as browser:
        log_in(browser)
        browser.token = token_of(browser.get("/reviews/list"))
        page = browser.get("/reviews/detail?pk=1")
        assert page.status_code == 200
        assert "cannot be read as a request any more" in page.text
        assert 'name="verb" value="reject"' in page.text
        assert 'name="verb" value="approve"' not in page.text
        assert "/edit?" not in page.text
        assert browser.get("/edit?pk=1").status_code in (404, 409)
        assert decide(browser, "/edit", id="1", version="1", verb="weigh").status_code in (404, 409)
        assert decide(browser, verb="reject", id="1", version="1").status_code == 303
    assert statuses(ledger)[1] == "rejected"


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_what_is_no_request_any_more_is_shown_and_can_be_rejected(browser, ledger, payload):
    stored(ledger, payload)
    assert_only_rejecting_is_left(ledger)


def test_bytes_that_are_no_text_are_named_and_can_be_rejected(browser, ledger):
    bytes_stored(ledger)
    assert_only_rejecting_is_left(ledger)


def test_half_a_character_is_shown_and_edited_as_what_it_is(browser, ledger):
    stored(ledger, r'{"max_tokens": 9, "messages": [{"role": "user", "content": "a\ud800b"}]}')
    assert "a?b" in browser.get("/reviews/detail?pk=1").text
    with browser_of(ledger, weigh=weigh_lightly) as editor:
        log_in(editor)
        assert r"a\ud800b" in editor.get("/edit?pk=1").text


@pytest.mark.parametrize(
    ("settings", "leads"),
    [
        ({"prefect_ui_url": "https://ui.example/"}, "https://ui.example/runs/flow-run/abc"),
        ({"prefect_api_url": "http://127.0.0.1:4200/api"}, "http://127.0.0.1:4200/runs/flow-run/abc"),
        ({"prefect_ui_url": "javascript:alert(1)//"}, None),
        ({"prefect_api_url": "http://127.0.0.1:4200/other"}, None),
        ({}, None),
    ],
)
def test_a_run_leads_to_its_flow_run_where_that_is_known(browser, ledger, settings, leads):
    with ledger.write() as connection:
        connection.execute(
            update(RunRow).values(prefect_flow_run_id="abc", results_path="/data/results/run-1")
        )
    with browser_of(ledger, **{"prefect_ui_url": None, "prefect_api_url": None} | settings) as other:
        log_in(other)
        page = other.get("/reviews/detail?pk=1").text
    assert "<code>/data/results/run-1</code>" in page
    assert (f'href="{leads}"' in page) == (leads is not None)
    assert ("/runs/flow-run/" in page) == (leads is not None)


def test_a_review_says_how_many_jobs_share_its_answer(browser, ledger):
    rows = [("job-0", 0, None), ("same", 1, 0), ("same too", 2, 0), ("another", 3, 1)]
    with ledger.write() as connection:
        connection.execute(
            insert(JobRow),
            [
                {"run_id": "run-1", "job_id": job_id, "row_number": number, "shares_with_row": shares}
                for job_id, number, shares in rows
            ],
        )
    assert "2 other jobs of this run ask exactly the same" in browser.get("/reviews/detail?pk=1").text
    # row 1 of the run is another job by now
    assert "exactly the same" not in browser.get("/reviews/detail?pk=2").text
