"""What a failed call proves: a table over status and body, and over everything else that may come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.call_failures import (
    PROOFS,
    SPEND_CODES,
    SPEND_SENTENCES,
    ApiError,
    Call,
    HttpAnswer,
    failure_of,
    failure_of_item,
    of_call,
    without_batches,
)
from schemas.failures import (
    AccessDenied,
    EndpointUnusable,
    MayBeBilled,
    NotBilled,
    Refused,
    SpendLimitReached,
    Transient,
)

REDIRECTS = (301, 302, 303, 307, 308)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
calls = st.sampled_from(Call)


def error_body(kind, message="m", **more):
    return {"type": "error", "error": {"type": kind, "message": message} | more, "request_id": "req_1"}


def failure(status, body, call=Call.PAID, **more):
    return failure_of(HttpAnswer(status, ApiError.in_body(body), "req_1", **more), call)


#: status, error type, what it proves of a message, and of a batch's creation
TABLE = [
    (400, "invalid_request_error", Refused, Refused),
    (401, "authentication_error", AccessDenied, AccessDenied),
    (402, "billing_error", SpendLimitReached, SpendLimitReached),
    (403, "permission_error", AccessDenied, AccessDenied),
    (404, "not_found_error", Refused, Refused),
    (409, "conflict_error", Refused, Refused),
    (413, "request_too_large", Refused, Refused),
    (418, "teapot_error", Refused, Refused),
    (429, "rate_limit_error", Transient, Transient),
    (500, "api_error", Transient, MayBeBilled),
    (500, "overloaded_error", Transient, Transient),
    (500, "brand_new_error", MayBeBilled, MayBeBilled),
    (503, "api_error", Transient, MayBeBilled),
    (503, "rate_limit_error", Transient, Transient),
    (500, "invalid_request_error", Refused, MayBeBilled),
    (504, "timeout_error", MayBeBilled, MayBeBilled),
    (529, "overloaded_error", Transient, Transient),
]


@pytest.mark.parametrize(("status", "kind", "message", "creation"), TABLE)
def test_the_apis_own_error_object_proves_what_the_table_says(status, kind, message, creation):
    body = error_body(kind)
    for call, expected in ((Call.PAID, message), (Call.CREATION, creation)):
        found = failure(status, body, call)
        assert type(found) is expected
        assert (found.status, found.request_id) == (status, "req_1")
        assert str(found).startswith(f"HTTP {status} {kind}")


def test_the_table_has_every_error_type():
    assert {kind for _, kind, *_ in TABLE} >= set(PROOFS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, "<html>Bad Request</html>"),
        (401, {"detail": "Unauthorized"}),
        (404, {"detail": "Not Found"}),
        (429, {"error": {"type": "rate_limit_error", "message": "a gateway's own"}}),
        (500, None),
        (502, "<html>502</html>"),
        (503, {"type": "error", "error": "overloaded_error"}),
        (520, b""),
        (524, {"type": "error"}),
        (529, {"type": "error", "error": {"type": 529}}),
    ],
)
def test_what_is_not_the_apis_own_error_object_proves_nothing(status, body):
    for call in (Call.PAID, Call.CREATION):
        assert type(failure(status, body, call)) is MayBeBilled


@given(
    st.integers(300, 599), json_values | st.binary(max_size=9), st.sampled_from((Call.PAID, Call.CREATION))
)
def test_without_the_apis_own_error_object_nothing_is_not_billed_but_a_redirect(status, body, call):
    found = failure(status, body, call)
    if ApiError.in_body(body) is None:
        expected = EndpointUnusable if status in REDIRECTS else MayBeBilled
        assert type(found) is expected
    assert found.status == status


@given(
    st.integers(500, 599),
    st.sampled_from([*PROOFS, "api_error", "brand_new_error"]) | st.text(max_size=20),
    st.text(max_size=40),
)
def test_a_batch_may_exist_after_every_5xx_but_two(status, kind, message):
    found = failure(status, error_body(kind, message), Call.CREATION)
    before = kind in ("overloaded_error", "rate_limit_error")
    assert isinstance(found, NotBilled) == (before or isinstance(found, SpendLimitReached))


@given(st.integers(300, 599), json_values, st.text(max_size=9))
def test_a_free_call_is_never_billed_and_its_failure_says_the_same(status, body, kind):
    for one in (body, error_body(kind)):
        paid, free = failure(status, one), of_call(failure(status, one, Call.FREE), Call.FREE)
        assert not isinstance(free, MayBeBilled)
        assert (str(free), free.status, free.request_id) == (str(paid), status, paid.request_id)
        assert type(free) is (Transient if isinstance(paid, MayBeBilled) else type(paid))


@given(st.sampled_from(SPEND_SENTENCES), st.text(max_size=60))
def test_the_start_of_the_sentence_says_that_the_money_is_used_up(sentence, rest):
    for call in Call:
        assert (
            type(failure(400, error_body("invalid_request_error", sentence + rest), call))
            is SpendLimitReached
        )
    assert type(failure_of_item(ApiError("invalid_request_error", sentence + rest))) is SpendLimitReached


@given(st.text(min_size=1, max_size=60), st.sampled_from(SPEND_SENTENCES), st.text(max_size=60))
def test_a_payload_that_is_quoted_is_not_taken_for_the_accounts_limit(quoted, sentence, rest):
    message = f"messages.0.content: {quoted}{sentence}{rest}"
    for call in Call:
        assert type(failure(400, error_body("invalid_request_error", message), call)) is Refused
    assert type(failure_of_item(ApiError("invalid_request_error", message))) is Refused


@pytest.mark.parametrize("code", SPEND_CODES)
@pytest.mark.parametrize("place", ["details", "flat"])
def test_a_429_with_a_money_code_is_no_rate_limit(code, place):
    more = {"details": {"error_code": code}} if place == "details" else {"error_code": code}
    assert type(failure(429, error_body("rate_limit_error", **more))) is SpendLimitReached


@given(json_values)
def test_no_details_break_the_reading_of_an_error(details):
    assert ApiError.in_body(error_body("api_error", details=details)).kind == "api_error"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("invalid_request_error", Refused),
        ("request_too_large", Refused),
        ("not_found_error", Refused),
        ("brand_new_error", Refused),
        ("billing_error", SpendLimitReached),
        ("authentication_error", AccessDenied),
        ("permission_error", AccessDenied),
        ("rate_limit_error", Transient),
        ("overloaded_error", Transient),
        ("api_error", Transient),
        ("timeout_error", Transient),
    ],
)
def test_an_item_of_a_batch_that_failed_was_never_billed(kind, expected):
    assert type(failure_of_item(ApiError(kind))) is expected


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_names_where_it_leads_and_masks_what_may_be_a_secret(status):
    found = failure(status, "<html>", location="https://user:secret@api.example/v1?key=secret")
    assert type(found) is EndpointUnusable
    assert "https://***@api.example/v1" in str(found)
    assert "ANTHROPIC_BASE_URL" in str(found)
    assert "secret" not in str(found)
    assert "elsewhere" in str(failure(status, "<html>"))


@given(st.text(max_size=400))
def test_no_location_breaks_the_sentence(location):
    assert str(failure(302, None, location=location)).isprintable()


def test_only_a_rate_limit_asks_everybody_to_wait():
    busy = failure(529, error_body("overloaded_error"), retry_after=3.0)
    limited = failure(429, error_body("rate_limit_error"), retry_after=3.0)
    assert [(one.everyone, one.retry_after) for one in (busy, limited)] == [(False, 3.0), (True, 3.0)]


def test_an_address_without_batches_blames_no_job():
    found = without_batches("req_1", "https://gateway.example")
    assert (type(found), found.status, found.request_id) == (EndpointUnusable, 404, "req_1")
    assert "https://gateway.example has no Message Batches" in str(found)
    assert "--mode messages" in str(found)


@given(st.text(max_size=400), st.text(max_size=400))
def test_what_the_api_says_of_an_error_can_be_printed(kind, message):
    error = ApiError.in_body(error_body(kind, message))
    assert (error.kind + error.message).isprintable()
    assert len(error.kind) <= 60
    assert len(error.message) <= 300
