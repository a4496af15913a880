"""What a failed call proves: the same error of the API ends a job the same way, wherever it comes."""

from datetime import UTC, datetime

import pytest

from rules import endings as endings_of
from rules.call_failures import ApiError, HttpAnswer, failure_of, failure_of_item
from schemas.attempt import UnsettledAttempt
from schemas.outcome import Reason
from schemas.payload.traits import Traits

STOPPING = {
    "billing": ({"type": "billing_error"}, Reason.PROVIDER_SPEND_LIMIT),
    "no credit": (
        {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
        Reason.PROVIDER_SPEND_LIMIT,
    ),
    "spend limit": (
        {"type": "rate_limit_error", "details": {"error_code": "enforced_spend_limit_reached"}},
        Reason.PROVIDER_SPEND_LIMIT,
    ),
    "authentication": ({"type": "authentication_error"}, Reason.ACCESS_DENIED),
    "permission": ({"type": "permission_error"}, Reason.ACCESS_DENIED),
}


@pytest.mark.parametrize("what", STOPPING)
def test_what_no_row_is_to_blame_for_defers_in_all_four_places_and_stops_the_run(what):
    error, reason = STOPPING[what]
    called, item = failure_of(HttpAnswer(400, ApiError.of(error))), failure_of_item(ApiError.of(error))
    attempt = UnsettledAttempt("att_1", "m", datetime(2026, 11, 26, tzinfo=UTC), None, Traits(), 3)
    endings = {
        "count": endings_of.uncounted(called),
        "message": endings_of.failed("att_1", called).ending,
        "creation": endings_of.batch_not_made("att_1", called).ending,
        "item": endings_of.item_failed(attempt, item).ending,
    }
    assert {place: (end.outcome, end.reason) for place, end in endings.items()} == dict.fromkeys(
        endings, ("deferred", reason)
    )
    assert endings_of.stops_run(called) == endings_of.stops_run(item) == reason
