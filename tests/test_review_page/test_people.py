"""Who decides: a name, or a name and its password; guessing is slowed down."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette_admin.exceptions import LoginFailed

from review_page.people import ReviewSettings, Tries, clean_name, hashed_password, is_password
from schemas.errors import BadInput
from tests.test_review_page.page import HASH, browser_of, log_in, park


def test_who_is_not_logged_in_sees_nothing(ledger):
    park(ledger, 1)
    with browser_of(ledger, users=SecretStr(f"anna:{HASH}")) as browser:
        for path in ("/", "/reviews/list", "/reviews/detail?pk=1", "/decide"):
            answer = browser.get(path)
            assert answer.status_code == 303
            assert "/login" in answer.headers["location"]


def test_a_name_needs_its_password(ledger):
    with browser_of(ledger, users=SecretStr(f"anna:{HASH} ben:{HASH}")) as browser:
        assert log_in(browser, "anna", "another").status_code == 400
        assert log_in(browser, "eve", "a long pass word").status_code == 400
        assert browser.get("/reviews/list").status_code == 303
        assert log_in(browser, "anna", "a long pass word").status_code == 303
        assert browser.get("/reviews/list").status_code == 200


def test_a_session_ends_with_its_password_or_its_name(ledger):
    secret = SecretStr("s" * 40)
    with browser_of(ledger, users=SecretStr(f"anna:{HASH}"), secret=secret) as browser:
        log_in(browser, "anna", "a long pass word")
        cookies = dict(browser.cookies)
    for users, code in (
        (f"anna:{HASH}", 200),
        (f"anna:{hashed_password('x' * 12)}", 303),
        (f"ben:{HASH}", 303),
    ):
        with browser_of(ledger, users=SecretStr(users), secret=secret) as browser:
            browser.cookies.update(cookies)
            assert browser.get("/reviews/list").status_code == code


def test_guessing_is_slowed_down_and_a_success_is_no_guess():
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    for _ in range(50):
        tries.begin("anna", "10.0.0.1")
        tries.succeeded("anna", "10.0.0.1")
    for _ in range(5):
        tries.begin("anna", "10.0.0.1")
    with pytest.raises(LoginFailed):
        tries.begin("anna", "10.0.0.1")
    tries.begin("anna", "10.0.0.2")
    for number in range(15):
        tries.begin(f"name-{number}", "10.0.0.1")
    with pytest.raises(LoginFailed):
        tries.begin("ben", "10.0.0.1")
    now[0] = tries.WINDOW_SECONDS + 1
    tries.begin("anna", "10.0.0.1")


def test_passwords_are_kept_as_salted_hashes():
    other = hashed_password("a long pass word")
    assert other != HASH
    assert "pass" not in HASH
    assert is_password("a long pass word", HASH)
    assert is_password("a long pass word", other)
    assert not is_password("a long pass word ", HASH)
    assert not is_password("", "")


@pytest.mark.parametrize(
    "users",
    ["anna", "anna:", ":x", "anna:scrypt.a.b", f"anna;{HASH}", f"anna:{HASH[:-9]}"],
    ids=["no hash", "empty hash", "no name", "no salt", "semicolon", "cut off"],
)
def test_users_that_cannot_be_read_are_refused_without_being_quoted(users):
    with pytest.raises(BadInput) as refused:
        _ = ReviewSettings(users=SecretStr(users)).hashes
    assert users not in str(refused.value)


def test_a_secret_that_can_be_guessed_is_refused():
    with pytest.raises(BadInput):
        _ = ReviewSettings(secret=SecretStr("hunter2")).signing_secret
    assert ReviewSettings().signing_secret != ReviewSettings().signing_secret


@given(st.text(max_size=150))
def test_a_clean_name_is_one_line_that_can_be_printed(text):
    name = clean_name(text)
    assert name is None or (name.isprintable() and 0 < len(name) <= 100 and name == name.strip())
