"""Retry-After in each of its forms."""

from datetime import UTC, datetime, timedelta

import anthropic
import httpx2
import pytest

from rules.call_failures import Call
from rules.retry_after import retry_seconds
from services.classify import classified

NOW = datetime(2026, 11, 27, 19, 0, tzinfo=UTC)
DATE = "Fri, 27 Nov 2026 19:01:00 GMT"


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (None, None),
        ("", None),
        ("30", 30.0),
        ("0.5", 0.5),
        ("-5", 0.0),
        ("1e999", float("inf")),
        ("nan", None),
        ("soon", None),
        (DATE, 60.0),
        ("Fri, 27 Nov 2026 18:00:00 GMT", 0.0),
        ("Fri, 27 Nov 2026 19:01:00 +99999999999999999999", None),
        ("Fri, 99 Nov 2026 19:01:00 GMT", None),
    ],
)
def test_a_number_or_a_date_says_how_long_to_wait_and_nothing_else_does(stated, seconds):
    assert retry_seconds(stated, None, NOW) == seconds


@pytest.mark.parametrize("wrong", [timedelta(0), timedelta(days=-3), timedelta(days=3)])
def test_a_date_is_compared_with_the_answers_own_clock(wrong):
    assert retry_seconds(DATE, "Fri, 27 Nov 2026 19:00:10 GMT", NOW + wrong) == 50.0


def test_a_refusal_with_a_date_asks_everybody_to_wait_that_long():
    error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    headers = {"retry-after": DATE, "date": "Fri, 27 Nov 2026 19:00:00 GMT"}
    request = httpx2.Request("POST", "http://127.0.0.1/v1/messages")
    response = httpx2.Response(429, headers=headers, json=error, request=request)
    refused = anthropic.RateLimitError("slow down", response=response, body=error)
    failure = classified(refused, Call.PAID)
    assert (failure.retry_after, failure.everyone) == (60.0, True)
