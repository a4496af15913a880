"""Parking: what waits for a person waits once, and what a person decided is kept."""

import pytest
from sqlalchemy import update

from schemas.errors import RunFailed
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.review import Filter
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from tests.ledgers import parked, settle
from tests.strategies import begin, job, job_update, settlement, take

NO_LIMITS = JobLimits(None, None)


def test_a_job_is_parked_once_and_its_figures_are_brought_up_to_date(ledger):
    parked(ledger, "run-1")
    parked(ledger, "run-2", tokens=60_000)
    [review] = reviews.listed(ledger)
    assert (review.run_id, review.status, review.input_tokens, review.limit_tokens) == (
        "run-2",
        "pending",
        60_000,
        32_000,
    )
    assert (float(review.worst_case_usd), float(review.limit_usd)) == (2.5, 0.5)
    assert not hasattr(review, "payload")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "approved"},
        {"status": "rejected", "decided_by": " "},
        {"status": "claimed"},
        {"status": "edited", "decided_by": "ada"},
        {"status": "lost", "decided_by": "ada"},
        {"ceiling_nano_usd": -1},
    ],
)
def test_a_change_of_a_review_that_makes_no_sense_is_refused(ledger, wrong):
    parked(ledger, "run-1")
    with pytest.raises(RunFailed, match="refused a statement"), ledger.write() as connection:
        connection.execute(update(ReviewRow).values(wrong))


@pytest.mark.parametrize("status", ["approved", "rejected", "edited"])
def test_what_a_person_decided_is_kept_when_the_job_is_parked_again(ledger, status):
    parked(ledger, "run-1")
    with ledger.write() as connection:
        decision = {"status": status, "decided_by": "ada", "note": "mine"}
        edited = {"edited_fingerprint": "e"} if status == "edited" else {}
        connection.execute(update(ReviewRow).values(decision | edited))
        if status == "edited":
            connection.execute(update(ReviewPayloadRow).values(edited_payload="{}"))
    [review] = reviews.listed(ledger)
    before = reviews.one_review(ledger, review.id)
    parked(ledger, "run-2", tokens=60_000)
    assert reviews.one_review(ledger, review.id) == before


def test_a_parked_job_that_is_answered_is_closed_and_does_not_wait_again(ledger):
    parked(ledger, "run-1")
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0)], [])
    [attempt] = take(ledger, [10], "run-2").held
    settle(ledger, settlement(attempt.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=1))
    with ledger.write() as connection:
        reviews.close_answered(connection, "run-2")
    [closed] = reviews.listed(ledger)
    assert (closed.status, closed.sent_run_id, closed.sent_attempt_id) == (
        "sent",
        "run-2",
        attempt.attempt_id,
    )
    begin(ledger, "run-3")
    jobs.add(ledger, "run-3", [job(0, max_input_tokens=40_000)], [])
    assert reviews.park_over_budget(ledger, "run-3", NO_LIMITS) == 0
    assert reviews.park_of_unknown_outcome(ledger, "run-3", NO_LIMITS) == 0
    assert [r.status for r in reviews.listed(ledger)] == ["sent"]


def test_more_jobs_than_a_page_are_all_parked(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row, text=f"t{row}") for row in range(1_001)], [])
    jobs.record(
        ledger,
        "run-1",
        [job_update(row, outcome=Outcome.REVIEW, reason=Reason.NO_ROUTE) for row in range(1_001)],
    )
    assert reviews.park_over_budget(ledger, "run-1", NO_LIMITS) == 1_001
    assert len(reviews.listed(ledger, Filter("pending", run_id="run-1"), limit=2_000)) == 1_001
