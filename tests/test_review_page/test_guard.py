"""What another site may have caused is refused, and cookies stay where they belong."""

import re

import pytest

from tests.test_review_page.page import browser_of, decide, log_in, statuses, token_of


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9"},
        {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_origin_changes_nothing_even_with_the_token(browser, ledger, headers):
    answer = decide(browser, headers=headers, verb="reject", id="1", version="1")
    assert answer.status_code == 403
    assert set(statuses(ledger).values()) == {"pending"}


def test_without_an_origin_the_browser_must_vouch_for_it(browser, ledger):
    del browser.headers["Origin"]
    assert decide(browser, verb="reject", id="1", version="1").status_code == 403
    site = {"Sec-Fetch-Site": "same-origin"}
    assert decide(browser, headers=site, verb="reject", id="1", version="1").status_code == 303
    assert statuses(ledger)[1] == "rejected"


@pytest.mark.parametrize("token", ["", "forged"])
def test_without_the_session_s_token_nothing_is_changed(browser, ledger, token):
    browser.token = token
    assert decide(browser, verb="reject", id="1", version="1").status_code == 403
    assert set(statuses(ledger).values()) == {"pending"}


def test_another_host_is_refused(browser):
    assert browser.get("/reviews/list", headers={"Host": "rebound.example"}).status_code == 400


def test_a_huge_form_is_refused_unread(browser):
    assert decide(browser, headers={"Content-Length": "2000001"}, verb="reject").status_code == 413


def test_every_answer_says_what_may_run_in_it(browser):
    first, second = browser.get("/reviews/list"), browser.get("/reviews/list")
    policies = [answer.headers["Content-Security-Policy"] for answer in (first, second)]
    assert policies[0] != policies[1]
    nonce = re.search(r"script-src 'nonce-([^']+)'", policies[0]).group(1)
    scripts = re.findall(r"<script[^>]*>", first.text)
    assert scripts
    assert all(f'nonce="{nonce}"' in script for script in scripts)
    assert "http" not in re.sub(r"http://127\.0\.0\.1|http://www\.w3\.org", "", " ".join(scripts))
    for answer in (first, browser.get("/static/review.css"), browser.get("/nowhere")):
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
    assert first.headers["Cache-Control"] == "no-store"


def test_the_session_is_out_of_reach_of_scripts_and_other_sites(ledger):
    with browser_of(ledger) as browser:
        said = log_in(browser).headers.get_list("set-cookie")
    [cookie] = [one for one in said if one.startswith("weighbridge_review=")]
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}


def cookies_of(answer):
    return {
        cookie.partition("=")[0]: {part.strip().lower() for part in cookie.split(";")}
        for cookie in answer.headers.get_list("set-cookie")
    }


TLS = {"X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("address", "proxy", "headers", "secure"),
    [
        ("http://127.0.0.1", False, {}, False),
        ("http://127.0.0.1:8788", True, {}, False),
        ("https://127.0.0.1", False, {}, True),
        # whoever reaches the page itself can claim anything
        ("http://127.0.0.1", False, TLS, False),
        ("http://127.0.0.1", True, TLS, True),
        ("http://127.0.0.1", True, {"X-Forwarded-Proto": "http"}, False),
        ("http://127.0.0.1", True, {"X-Forwarded-Proto": "https, http"}, False),
        ("http://reviews.example", False, {}, True),
        ("http://reviews.example", True, TLS, True),
        ("https://reviews.example", False, {}, True),
    ],
)
def test_cookies_are_for_tls_only_off_this_machine_and_wherever_there_is_tls(
    ledger, address, proxy, headers, secure
):
    with browser_of(ledger, address, trusted_proxy=proxy) as browser:
        browser.headers.update(headers)
        page = browser.get("/login")
        token = token_of(page)
        # as a browser would that has TLS on its side of the proxy
        sent = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        answer = browser.post(
            "/login", data={"csrftoken": token, "username": "Anna"}, headers={"Cookie": sent}
        )
    assert answer.status_code == 303
    for said in (page, answer):
        assert cookies_of(said)
        for name, flags in cookies_of(said).items():
            assert (name, "secure" in flags) == (name, secure)


def test_who_would_be_logged_out_at_once_is_warned_where_the_browser_can_tell(ledger):
    with browser_of(ledger) as browser:
        page = browser.get("/login").text
        assert re.search(r"data-review-insecure hidden>[^<]*not keep you logged in", page)
        assert "isSecureContext" in browser.get("/static/review.js").text
