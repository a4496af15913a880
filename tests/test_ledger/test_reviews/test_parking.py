"""A job that is parked again is brought up to date; what was decided, and what may have been billed, stays."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select, update

from rules.raw_answer import unknown_advice
from schemas.ledger import JobRow, PayloadRow
from schemas.outcome import Outcome, Reason
from schemas.payload.payload import Payload
from schemas.review_tables import ReviewRow
from services.ledger import jobs, reviews
from services.ledger.reviews import parking
from services.ledger.windows import one_at_a_time
from tests.strategies import begin, end_early, job, request
from tests.test_ledger.test_reviews.table import (
    FIGURES,
    NO_LIMITS,
    edited_and_unanswered,
    parked,
    put_in_review,
    unanswered,
    unknown_review,
    unreadable,
    wait_for_waiters,
)

OVER_LIMITS = [Reason.OVER_INPUT_LIMIT, Reason.OVER_COST_LIMIT, Reason.NO_ROUTE, Reason.UNPRICED]


def test_a_claim_is_kept_with_new_figures_and_an_expired_approval_waits_again(ledger):
    first = parked(ledger, "run-1", 50)
    assert first.would_pass == "raise to 50"
    reviews.claim(ledger, [first.id], "ana")
    again = parked(ledger, "run-2", 60)
    assert (again.status, again.claimed_by, again.input_tokens, again.run_id) == (
        "claimed",
        "ana",
        60,
        "run-2",
    )
    assert reviews.events(ledger, first.id)[-1].by == "run-2"
    parked(ledger, "run-3", 60)
    assert len(reviews.events(ledger, first.id)) == 3  # the same figures are no change
    reviews.approve(ledger, [first.id], "ana")
    reviews.expire(ledger, datetime.now(UTC) + timedelta(days=15))
    last = parked(ledger, "run-4", 60)
    assert (last.status, last.decided_by, last.ceiling_tokens) == ("pending", None, None)
    event = reviews.events(ledger, first.id)[-1]
    assert (event.from_status, event.to_status, event.by) == ("expired", "pending", "run-4")


def test_a_job_that_outgrew_its_ceiling_waits_again_under_its_own_review(ledger):
    first = parked(ledger, "run-1", 50)
    payload = Payload.checked(request("edited"))
    reviews.edit(ledger, first.id, "ana", payload, FIGURES)
    # what was sent is the edit, which has a fingerprint of its own
    again = parked(ledger, "run-2", 90, Reason.OVER_CEILING, first.id, sent="edited")
    assert (again.id, again.status, again.input_tokens) == (first.id, "pending", 90)
    assert reviews.one_review(ledger, first.id).edited_payload == payload.text.decode()


@pytest.mark.parametrize("decide", [reviews.approve, reviews.reject])
@pytest.mark.parametrize(("pin", "asks"), [("claude-opus-5-5", True), ("m", False), (None, False)])
def test_what_was_decided_about_one_model_waits_again_under_a_pin_to_another(ledger, decide, pin, asks):
    first = parked(ledger, "run-1", 50)
    decide(ledger, [first.id], "ana")
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0, model=pin)], [])
    put_in_review(ledger, "run-2", Reason.OVER_INPUT_LIMIT)
    assert reviews.park_over_budget(ledger, "run-2", NO_LIMITS) == 1
    found = reviews.one_review(ledger, first.id)
    assert (found.status == "pending") == asks
    assert found.pinned_model == (pin if asks else None)


def test_a_job_parked_again_as_it_was_forgets_an_edit_that_nobody_stands_by(ledger):
    first = parked(ledger, "run-1", 50)
    own = reviews.one_review(ledger, first.id).payload
    payload = Payload.checked(request("edited"))
    reviews.edit(ledger, first.id, "ana", payload, FIGURES)
    parked(ledger, "run-2", 50)
    kept = reviews.one_review(ledger, first.id)
    assert (kept.status, kept.payload, kept.edited_payload) == ("edited", own, payload.text.decode())
    reviews.reopen(ledger, [first.id], "ana")
    parked(ledger, "run-3", 50)
    kept = reviews.one_review(ledger, first.id)
    assert (kept.status, kept.payload) == ("pending", own)
    assert (kept.edited_payload, kept.edited_fingerprint) == (None, None)


@pytest.mark.parametrize("reason", OVER_LIMITS)
@pytest.mark.parametrize("claimed", [False, True])
def test_a_review_of_a_job_that_may_have_been_billed_goes_on_saying_so_under_any_limit(
    ledger, reason, claimed
):
    first = unknown_review(ledger)
    assert (first.reason, first.detail, first.would_pass) == ("unknown_outcome", "no answer", "look it up")
    if claimed:
        reviews.claim(ledger, [first.id], "ana")
    again = parked(ledger, "run-2", 60, reason)
    assert (again.id, again.reason, again.detail) == (first.id, first.reason, first.detail)
    assert again.would_pass == first.would_pass
    # what it weighs and costs now is the measure of an approval
    assert (again.run_id, again.input_tokens, again.worst_case_nano_usd) == ("run-2", 60, 600)
    assert again.status == ("claimed" if claimed else "pending")


def test_once_it_is_known_the_review_says_what_keeps_the_job_back(ledger):
    first = unknown_review(ledger)
    reviews.book(ledger, first.id, "ana", None)
    again = parked(ledger, "run-2", 60)
    assert (again.reason, again.would_pass) == ("over_input_limit", "raise to 60")


def test_once_it_is_known_the_review_says_so_though_another_job_may_still_have_been_billed(ledger):
    first = unknown_review(ledger)
    reviews.book(ledger, first.id, "ana", None)
    unanswered(ledger, "run-other", job_id="another", text="another")
    assert reviews.park_of_unknown_outcome(ledger, "run-other", NO_LIMITS, lambda _: "look it up") == 1
    again = parked(ledger, "run-2", 60)
    assert (again.reason, again.would_pass) == ("over_input_limit", "raise to 60")


def test_a_job_of_unknown_outcome_is_said_to_be_one_although_its_review_said_something_else(ledger):
    first = parked(ledger, "run-1", 50)
    unanswered(ledger, "run-2")
    assert reviews.park_of_unknown_outcome(ledger, "run-2", NO_LIMITS, lambda _: "look it up") == 1
    [again] = reviews.listed(ledger)
    assert (again.id, again.reason, again.would_pass) == (first.id, "unknown_outcome", "look it up")


@pytest.mark.parametrize("reason", [*OVER_LIMITS, Reason.UNKNOWN_OUTCOME])
def test_a_review_whose_edit_may_have_been_billed_stays_about_the_edit(ledger, reason):
    before = edited_and_unanswered(ledger)
    begin(ledger, "run-3")
    jobs.add(ledger, "run-3", [job(0)], [])  # the original, read again
    put_in_review(ledger, "run-3", reason)
    assert reviews.park_over_budget(ledger, "run-3", NO_LIMITS) == 1
    assert reviews.one_review(ledger, before.id) == before


def test_limits_that_a_review_shows_are_the_tighter_of_both(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0, max_input_tokens=40, max_cost=9), job(1, text="b")], [])
    put_in_review(ledger, "run-1", Reason.OVER_INPUT_LIMIT)
    reviews.park_over_budget(ledger, "run-1", reviews.JobLimits(30, 10))
    shown = {review.job_id: (review.limit_tokens, review.limit_nano_usd) for review in reviews.listed(ledger)}
    assert shown == {"job-0": (30, 9), "job-1": (30, 10)}


def test_who_parks_waits_for_who_decides(ledger):
    """Two that write many reviews in orders of their own would wait for each other for ever."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0)], [])
    put_in_review(ledger, "run-1", Reason.NO_ROUTE)
    with ThreadPoolExecutor(1) as another:
        with ledger.write() as connection:
            one_at_a_time(connection)
            parking = another.submit(reviews.park_over_budget, ledger, "run-1", NO_LIMITS)
            wait_for_waiters(ledger, 1)
        assert parking.result(timeout=60) == 1


def test_payloads_of_what_has_ended_are_dropped_and_those_in_review_kept_with_it(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1, text="b")], [])
    with ledger.write() as connection:
        connection.execute(update(JobRow).where(JobRow.row_number == 0).values(outcome=Outcome.REVIEW))
    reviews.park_over_budget(ledger, "run-1", NO_LIMITS)
    reviews.drop_payloads(ledger, "run-1")
    with ledger.read() as connection:
        assert connection.scalars(select(PayloadRow.row_number)).all() == [1]
        [review_id] = connection.scalars(select(ReviewRow.id))
    assert Payload.restored(reviews.one_review(ledger, review_id).payload).request == request()


def test_the_payloads_of_a_large_run_are_dropped_in_pieces_and_the_undecided_stay(ledger, monkeypatch):
    monkeypatch.setattr(parking, "PAGE", 3)
    begin(ledger)
    begin(ledger, "run-2")
    for run_id in ("run-1", "run-2"):
        jobs.add(ledger, run_id, [job(row) for row in range(10)], [])
    ended = JobRow.row_number.not_in([1, 5])
    with ledger.write() as connection:
        connection.execute(
            update(JobRow).where(JobRow.run_id == "run-1", ended).values(outcome=Outcome.FAILED)
        )
    dropped = []

    def note(_connection, cursor, statement, *_):
        if statement.startswith("DELETE FROM payloads"):
            dropped.append(cursor.rowcount)

    event.listen(ledger.engine, "after_cursor_execute", note)
    reviews.drop_payloads(ledger, "run-1")
    assert dropped == [2, 2, 3, 1]
    left = select(PayloadRow.run_id, PayloadRow.row_number).order_by(PayloadRow.run_id, PayloadRow.row_number)
    with ledger.read() as connection:
        kept = [tuple(row) for row in connection.execute(left)]
    assert kept == [("run-1", 1), ("run-1", 5), *(("run-2", row) for row in range(10))]


@pytest.mark.parametrize(
    "park",
    [
        lambda ledger: end_early(ledger, "run-1"),
        lambda ledger: reviews.park_of_unknown_outcome(
            ledger, "run-1", NO_LIMITS, lambda one: unknown_advice(has_raw=one.has_raw)
        ),
    ],
    ids=["by whoever closes the run", "by the run"],
)
@pytest.mark.parametrize("came", [True, False])
def test_the_advice_names_accepting_where_something_came_and_only_there(ledger, park, came):
    if came:
        unreadable(ledger)
    else:
        unanswered(ledger)
    park(ledger)
    [review] = reviews.listed(ledger)
    assert ("`weighbridge review accept`" in review.would_pass) is came
    assert "`weighbridge review book`" in review.would_pass
