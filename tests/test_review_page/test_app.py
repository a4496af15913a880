"""The page says whose decisions it shows: of which ledger, and whether any money is real."""

import pytest

from tests.test_review_page.page import browser_of, log_in, park

BADGE = "badge review-simulated"


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_ledger_is_labelled_on_every_page(ledger, simulated):
    with browser_of(ledger) as browser:
        log_in(browser)
        # no run yet: nobody knows
        assert BADGE not in browser.get("/reviews/list").text
        park(ledger, 1, simulated=simulated)
        for path in ("/reviews/list", "/reviews/detail?pk=1"):
            page = browser.get(path).text
            assert (BADGE in page) == simulated
            assert ledger.url.rpartition("/")[2] in page


def test_the_first_page_is_the_list(browser):
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "http://127.0.0.1/reviews/list")


@pytest.mark.parametrize("path", ["/nowhere", "/reviews/nowhere", "/runs/list"])
def test_what_is_not_there_is_a_page_of_ours(browser, path):
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
