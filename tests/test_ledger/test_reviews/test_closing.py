"""What a run made of the reviews whose jobs it had leave to send."""

import pytest
from sqlalchemy import update

from schemas.job import Approval
from schemas.ledger import JobRow
from schemas.outcome import OPEN_STATUSES, AttemptState, Outcome, Reason, ReviewStatus
from services.ledger import jobs, reviews
from tests.strategies import begin, job, settlement, take, write_down
from tests.test_ledger.test_reviews.table import (
    FIGURES,
    NO_LIMITS,
    edit_of,
    parked,
    put_in_review,
    sql,
    unknown_review,
)

#: the change that gives a waiting review each status
TO = {
    "pending": "note = 'hm'",
    "claimed": "status = 'claimed', claimed_by = 'ana'",
    "approved": "status = 'approved', decided_by = 'ana'",
    "edited": "status = 'edited', decided_by = 'ana', edited_fingerprint = 'e'",
    "rejected": "status = 'rejected', decided_by = 'ana'",
    "sent": "status = 'sent', sent_run_id = 'run-0'",
    "expired": "status = 'expired'",
}


def answered(ledger, run_id, **sent):
    """A run whose only job was answered; the attempt's id."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, **sent)], [])
    [held] = take(ledger, [10], run_id).held
    done = settlement(held.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=1)
    write_down(ledger, [held.attempt_id], [done])
    with ledger.write() as connection:
        reviews.close_answered(connection, run_id)
    return held.attempt_id


def ends(ledger, run_id, review, outcome, reason):
    """A run in which a job under an approval ended like this."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, approval=Approval(review.id, 50, 500))], [])
    with ledger.write() as connection:
        connection.execute(
            update(JobRow)
            .where(JobRow.run_id == run_id)
            .values(outcome=outcome, reason=reason, detail="because")
        )
        reviews.reopen_unsent(connection, run_id)
    return reviews.one_review(ledger, review.id)


@pytest.mark.parametrize("status", list(ReviewStatus))
def test_an_answer_closes_what_is_open_and_leaves_what_is_not(ledger, status):
    review = parked(ledger, "run-1", 50)
    sql(ledger, f"UPDATE reviews SET {TO[status]}")
    before = reviews.one_review(ledger, review.id)
    attempt_id = answered(ledger, "run-2")
    after = reviews.one_review(ledger, review.id)
    if status in OPEN_STATUSES:
        assert (after.status, after.sent_run_id, after.sent_attempt_id) == ("sent", "run-2", attempt_id)
        assert reviews.events(ledger, review.id)[-1].by == "run-2"
    else:
        assert after == before


def test_the_answer_to_an_edit_closes_the_review_that_approved_it(ledger):
    review = parked(ledger, "run-1", 50)
    payload = edit_of(review)
    reviews.edit(ledger, review.id, "ana", payload, FIGURES)
    attempt_id = answered(ledger, "run-2", payload=payload, approval=Approval(review.id, 7, 70))
    after = reviews.one_review(ledger, review.id)
    assert (after.status, after.sent_attempt_id, after.edited_payload) == (
        "sent",
        attempt_id,
        payload.text.decode(),
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_an_approval_that_sent_nothing_waits_again_and_says_why(ledger, outcome):
    review = parked(ledger, "run-1", 50)
    reviews.approve(ledger, [review.id], "ana")
    after = ends(ledger, "run-2", review, outcome, Reason.REFUSED_BY_API)
    if outcome in (Outcome.REVIEW, Outcome.REJECTED, Outcome.UNKNOWN):
        assert (after.status, after.reason, after.detail) == ("pending", "refused_by_api", "because")
        assert (after.decided_by, after.run_id) == (None, "run-2")
    else:
        assert (after.status, after.reason, after.detail) == ("approved", review.reason, review.detail)


def test_an_approval_that_sent_nothing_still_says_that_the_job_may_have_been_billed(ledger):
    """Else who approves it again, over its ceiling, sends a job that may be paid already without knowing."""
    first = unknown_review(ledger)
    sql(ledger, "UPDATE reviews SET worst_case_nano_usd = 500, input_tokens = 50")
    reviews.approve(ledger, [first.id], "ana")
    after = ends(ledger, "run-2", first, Outcome.REVIEW, Reason.OVER_CEILING)
    assert (after.status, after.reason, after.detail) == ("pending", "unknown_outcome", "no answer")
    put_in_review(ledger, "run-2", Reason.OVER_CEILING, 90, first.id)
    assert reviews.park_over_budget(ledger, "run-2", NO_LIMITS) == 1
    after = reviews.one_review(ledger, first.id)
    assert (after.reason, after.detail, after.would_pass) == ("unknown_outcome", "no answer", "look it up")
    assert after.input_tokens == 90
    # until somebody looked it up
    reviews.book(ledger, first.id, "ana", None)
    reviews.approve(ledger, [first.id], "ana")
    after = ends(ledger, "run-3", first, Outcome.REVIEW, Reason.OVER_CEILING)
    assert (after.status, after.reason, after.detail) == ("pending", "over_ceiling", "because")


def test_a_review_that_waits_again_is_about_its_own_row_of_the_run_and_no_other(ledger):
    review = parked(ledger, "run-1", 50)
    reviews.approve(ledger, [review.id], "ana")
    begin(ledger, "run-2")
    other = job(0, "another", text="other", kept={"customer": "another's"})
    own = job(3, review.job_id, approval=Approval(review.id, 50, 500), kept={"customer": "its own"})
    jobs.add(ledger, "run-2", [other, own], [])
    with ledger.write() as connection:
        own_row = (JobRow.run_id == "run-2", JobRow.row_number == 3)
        connection.execute(update(JobRow).where(*own_row).values(outcome="review", reason="over_ceiling"))
        reviews.reopen_unsent(connection, "run-2")
    after = reviews.one_review(ledger, review.id)
    assert (after.status, after.run_id, after.row_number) == ("pending", "run-2", 3)
    # so what is sent once it is approved keeps the texts of its own row
    reviews.approve(ledger, [review.id], "ana")
    begin(ledger, "run-4")
    [[again]] = reviews.approved_jobs(ledger, "run-4", 0)
    assert again.kept == {"customer": "its own"}
