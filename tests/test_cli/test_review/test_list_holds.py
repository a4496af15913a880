"""`weighbridge review holds`, and booking an attempt that has no review."""

import pytest
from sqlalchemy import delete

from schemas.outcome import AttemptState, Outcome, Reason
from schemas.review_tables import ReviewRow
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from tests.strategies import begin, job, settlement, take, write_down


@pytest.fixture
def unknown(ledger):
    """Two attempts of unknown outcome, 0.0000001 USD each; only the first one's job has a review."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1, text="other")], [])
    held = take(ledger, [100, 100]).held
    for attempt in held:
        end = settlement(
            attempt.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME
        )
        write_down(ledger, [attempt.attempt_id], [end])
    reviews.park_of_unknown_outcome(ledger, "run-1", JobLimits(None, None))
    with ledger.write() as connection:
        connection.execute(delete(ReviewRow).where(ReviewRow.job_id == "job-1"))
    return [attempt.attempt_id for attempt in held]


def test_each_hold_is_listed_until_it_is_booked(weighbridge, unknown):
    listed = weighbridge("review", "holds", "--json").json
    assert {(one["attempt"], one["held_usd"]) for one in listed} == {(one, "0.000000100") for one in unknown}
    assert [one["review"] is None for one in sorted(listed, key=lambda one: one["job"])] == [False, True]
    shown = weighbridge("review", "holds").out
    assert all(one in shown for one in unknown)
    assert "2 attempt(s), " in shown
    booked = weighbridge(
        "review", "book", "--attempt", unknown[1], "--billed", "0.00000004", "--by", "ana", "--json"
    )
    assert booked.json == {"attempt": unknown[1], "held_usd": "0.000000100", "billed_usd": "0.000000040"}
    said = weighbridge("review", "book", "--attempt", unknown[0], "--not-billed", "--by", "ana")
    assert said.out == f"Attempt {unknown[0]}: 0.000000000 USD booked; the hold of 0.000000100 USD ended.\n"
    assert "No money is held" in weighbridge("review", "holds").out
