"""What people decided about jobs, for the runs that act on it: a payload and its edit are one job."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, update

from schemas.job import Approval, EndedJob, Job
from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.payload.payload import Payload
from schemas.review import Filter
from services.ledger import jobs, reviews
from tests.strategies import begin, job, request, settlement, take, write_down
from tests.test_ledger.test_reviews.table import (
    FIGURES,
    NO_LIMITS,
    edit_of,
    edited_and_unanswered,
    parked,
    put_in_review,
    sql,
    unanswered,
)

BOTH = pytest.mark.parametrize("resubmit", [False, True])
GOES_ON = {
    AttemptState.SUCCEEDED: (Outcome.SUCCEEDED, None),
    AttemptState.OPEN: (Outcome.DEFERRED, Reason.IN_FLIGHT_ELSEWHERE),
    AttemptState.UNKNOWN: (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME),
}


def applied(ledger, read, *, resubmit):
    """What becomes of one job that was read."""
    weighed, ended = reviews.apply_decisions(ledger, [read], resubmit_approved=resubmit)
    [found] = [*weighed, *ended]
    return found


def approved(ledger, run_id="run-9"):
    """All jobs that people approved and a run would send, and their pages."""
    begin(ledger, run_id)
    pages = list(reviews.approved_jobs(ledger, run_id, 100))
    return [job for page in pages for job in page], [len(page) for page in pages]


def attempt(ledger, run_id, state, payload, approval=None):
    """An attempt at a payload of job-0, in this state; its id."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, payload=payload, approval=approval)], [])
    [held] = take(ledger, [10], run_id, resend_unknown=True).held
    if state != AttemptState.OPEN:
        outcome = {AttemptState.FAILED: Outcome.FAILED}.get(state) or GOES_ON[state][0]
        write_down(ledger, [held.attempt_id], [settlement(held.attempt_id, state, outcome, cost=0)])
    return held.attempt_id


@BOTH
@pytest.mark.parametrize(
    "change",
    ["note = 'hm'", "status = 'claimed', claimed_by = 'ana'", "status = 'expired'", "status = 'sent'"],
)
def test_what_nobody_decided_is_weighed_like_any_other(ledger, change, resubmit):
    parked(ledger, "run-1", 50)
    sql(ledger, f"UPDATE reviews SET {change}")
    assert applied(ledger, job(0), resubmit=resubmit) == job(0)


@BOTH
def test_an_approval_is_acted_on_by_the_run_that_sends_what_was_approved(ledger, resubmit):
    review = parked(ledger, "run-1", 50)
    reviews.approve(ledger, [review.id], "ana", ceiling_tokens=60)
    found = applied(ledger, job(0), resubmit=resubmit)
    assert found.approval == (Approval(review.id, 60, 500) if resubmit else None)
    # another payload under the same id is another job
    assert applied(ledger, job(0, text="other"), resubmit=resubmit) == job(0, text="other")
    sql(ledger, "UPDATE reviews SET expires_at = :past", past=datetime.now(UTC) - timedelta(seconds=1))
    assert applied(ledger, job(0), resubmit=resubmit) == job(0)


@BOTH
def test_a_rejected_job_ends_with_who_rejected_it_and_why(ledger, resubmit):
    review = parked(ledger, "run-1", 50)
    reviews.reject(ledger, [review.id], "ana", note="too often")
    found = applied(ledger, job(0), resubmit=resubmit)
    assert (found.ending.outcome, found.ending.reason) == (Outcome.REJECTED, Reason.REJECTED_BY_REVIEWER)
    assert found.ending.detail.startswith("rejected by ana on ")
    assert found.ending.detail.endswith(": too often")


DECISIONS = {
    "approved": lambda ledger, review: reviews.approve(ledger, [review.id], "ana"),
    "rejected": lambda ledger, review: reviews.reject(ledger, [review.id], "ana"),
    "edited": lambda ledger, review: reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES),
}


@BOTH
@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_about_one_model_says_nothing_of_a_job_that_is_pinned_to_another(
    ledger, decision, resubmit
):
    review = parked(ledger, "run-1", 50)
    assert DECISIONS[decision](ledger, review).changed == 1
    pinned = job(0, model="claude-opus-5-5")
    assert applied(ledger, pinned, resubmit=resubmit) == pinned
    # one that is pinned to the very model that it was decided about is the same job
    same = job(0, model=reviews.one_review(ledger, review.id).model)
    assert (applied(ledger, same, resubmit=resubmit) == same) == (decision == "approved" and not resubmit)


@BOTH
def test_an_edit_is_sent_in_the_place_of_its_original_or_waits(ledger, resubmit):
    review = parked(ledger, "run-1", 50)
    reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES)
    found = applied(ledger, job(0), resubmit=resubmit)
    if resubmit:
        assert (found.payload, found.approval) == (edit_of(review), Approval(review.id, 7, 70))
    else:
        assert (found.ending.outcome, found.ending.reason) == (Outcome.REVIEW, "over_input_limit")


@BOTH
@pytest.mark.parametrize("state", list(GOES_ON))
@pytest.mark.parametrize(
    "then", ["note = 'hm'", "status = 'pending'", "status = 'expired'", "status = 'sent'"]
)
def test_the_original_of_an_edit_that_went_out_is_not_sent(ledger, state, then, resubmit):
    review = parked(ledger, "run-1", 50)
    reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES)
    attempt_id = attempt(ledger, "run-2", state, edit_of(review), Approval(review.id, 7, 70))
    sql(ledger, f"UPDATE reviews SET {then}")
    found = applied(ledger, job(0), resubmit=resubmit)
    if then == "note = 'hm'" and resubmit:
        # the edit itself, whose attempts are judged where its money is held
        assert (found.payload, found.approval.review_id) == (edit_of(review), review.id)
        return
    assert (found.ending.outcome, found.ending.reason) == GOES_ON[state]
    assert found.attempt_id == (attempt_id if state == AttemptState.SUCCEEDED else None)
    begin(ledger, "run-3")
    assert jobs.add(ledger, "run-3", [], [], [found]) == 0


@BOTH
def test_an_edit_that_was_surely_not_billed_stands_in_nobody_s_way(ledger, resubmit):
    review = parked(ledger, "run-1", 50)
    reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES)
    attempt(ledger, "run-2", AttemptState.FAILED, edit_of(review), Approval(review.id, 7, 70))
    reviews.reopen(ledger, [review.id], "ana")
    assert applied(ledger, job(0), resubmit=resubmit) == job(0)


def test_the_original_is_sent_again_once_the_edit_s_attempt_is_booked(ledger):
    review = edited_and_unanswered(ledger)
    assert applied(ledger, job(0), resubmit=False).ending.outcome == Outcome.UNKNOWN
    reviews.book(ledger, review.id, "ana", None)
    assert applied(ledger, job(0), resubmit=False) == job(0)


@pytest.mark.parametrize("state", list(GOES_ON))
def test_an_edit_is_not_sent_when_its_original_went_out_unknown_to_who_edited(ledger, state):
    review = parked(ledger, "run-1", 50)
    reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES)
    attempt(ledger, "run-2", state, job(0).payload)
    found = applied(ledger, job(0), resubmit=True)
    assert isinstance(found, EndedJob)
    assert (found.ending.outcome, found.ending.reason) == GOES_ON[state]
    assert approved(ledger) == ([], [0])


def test_an_edit_of_a_job_of_unknown_outcome_is_sent_when_it_was_made_of_one(ledger):
    unanswered(ledger)
    reviews.park_of_unknown_outcome(ledger, "run-1", NO_LIMITS)
    [review] = reviews.listed(ledger)
    reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES)
    assert applied(ledger, job(0), resubmit=True).payload == edit_of(review)
    [found], _ = approved(ledger)
    assert found.payload == edit_of(review)
    # a second attempt, later than the decision, nobody has decided about
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(ended_at=datetime.now(UTC) + timedelta(seconds=1)))
    assert applied(ledger, job(0), resubmit=True).ending.outcome == Outcome.UNKNOWN
    assert approved(ledger, "run-10") == ([], [0])


def test_approved_jobs_are_read_page_by_page_in_the_order_of_their_reviews(ledger):
    begin(ledger)
    jobs.add(
        ledger, "run-1", [job(row, text=f"t{row}", group="red", priority=row) for row in range(1_100)], []
    )
    put_in_review(ledger, "run-1", Reason.NO_ROUTE)
    reviews.park_over_budget(ledger, "run-1", NO_LIMITS)
    assert reviews.approve(ledger, Filter(status="pending"), "ana").changed == 1_100
    statements = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    found, pages = approved(ledger)
    assert pages == [500, 500, 100]
    assert [one.row_number for one in found] == list(range(100, 1_200))
    assert all(isinstance(one, Job) for one in found)
    assert (found[7].job_id, found[7].group, found[7].payload) == ("job-7", "red", job(7, text="t7").payload)
    assert found[7].approval == Approval(
        reviews.listed(ledger, Filter(search="job-7"), order="oldest")[0].id, 50, 500
    )
    # each page by its ids: to look at all approvals for each would be quadratic
    assert sum("GROUP BY" in statement for statement in statements) == 1


def test_approved_jobs_leave_out_what_the_run_has_and_what_is_not_what_was_decided(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row, text=f"t{row}") for row in range(4)], [])
    put_in_review(ledger, "run-1", Reason.NO_ROUTE)
    reviews.park_over_budget(ledger, "run-1", NO_LIMITS)
    reviews.approve(ledger, Filter(status="pending"), "ana")
    # job-1 stands in the run, the payload of job-2 is another by now, job-3 was opened again
    begin(ledger, "run-9")
    jobs.add(ledger, "run-9", [job(0, "job-1", text="t1")], [])
    ids = {review.job_id: review.id for review in reviews.listed(ledger)}
    other = Payload.checked(request("other")).text.decode()
    sql(ledger, "UPDATE review_payloads SET payload=:other WHERE review_id=:id", other=other, id=ids["job-2"])
    reviews.reopen(ledger, [ids["job-3"]], "ana")
    [page] = reviews.approved_jobs(ledger, "run-9", 1)
    assert [(one.job_id, one.row_number) for one in page] == [("job-0", 1)]


def test_of_two_payloads_under_one_id_the_one_parked_last_is_sent(ledger):
    for number, sent in enumerate(("first", "second"), start=1):
        begin(ledger, f"run-{number}")
        jobs.add(ledger, f"run-{number}", [job(0, text=sent)], [])
        put_in_review(ledger, f"run-{number}", Reason.NO_ROUTE)
        reviews.park_over_budget(ledger, f"run-{number}", NO_LIMITS)
    reviews.approve(ledger, Filter(status="pending"), "ana")
    [found], _ = approved(ledger)
    assert found.payload == job(0, text="second").payload


def test_an_approval_whose_time_has_passed_is_not_sent_and_expires(ledger):
    review = parked(ledger, "run-1", 50)
    reviews.approve(ledger, [review.id], "ana")
    sql(ledger, "UPDATE reviews SET expires_at = :past", past=datetime.now(UTC) - timedelta(seconds=1))
    assert approved(ledger) == ([], [])
    assert reviews.one_review(ledger, review.id).status == "expired"


def modes(ledger):
    return reviews.modes_of_approved(ledger, datetime.now(UTC))


@pytest.mark.parametrize("mode", ["messages", "batches"])
def test_what_is_approved_or_edited_and_not_in_flight_says_in_which_mode_it_was_parked(ledger, mode):
    review = parked(ledger, "run-1", 50)
    sql(ledger, "UPDATE runs SET mode = :mode", mode=mode)
    assert modes(ledger) == set()
    reviews.approve(ledger, [review.id], "ana")
    assert modes(ledger) == {mode}
    reviews.reopen(ledger, [review.id], "ana")
    assert modes(ledger) == set()
    assert reviews.edit(ledger, review.id, "ana", edit_of(review), FIGURES).changed == 1
    assert modes(ledger) == {mode}
    attempt(ledger, "run-2", AttemptState.OPEN, edit_of(review))
    assert modes(ledger) == set()


def test_an_approval_whose_time_has_passed_is_not_waited_for_and_expires(ledger):
    review = parked(ledger, "run-1", 50)
    reviews.approve(ledger, [review.id], "ana")
    sql(ledger, "UPDATE reviews SET expires_at = :past", past=datetime.now(UTC) - timedelta(seconds=1))
    assert modes(ledger) == set()
    assert reviews.one_review(ledger, review.id).status == "expired"
