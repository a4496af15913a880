"""What an attempt of unknown outcome cost is booked once, by a person, wherever its hold stays."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from schemas.errors import BadInput
from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState, Billing, Outcome
from schemas.review_tables import ReviewEventRow
from services.ledger import jobs, reviews
from services.ledger.windows import one_at_a_time
from tests.ledgers import unknown
from tests.strategies import begin, job, settlement, take, write_down
from tests.test_ledger.test_reviews.table import (
    NO_LIMITS,
    attempt_states,
    money,
    unanswered,
    unreadable,
    wait_for_waiters,
    waiting,
)

WINDOWS = ("run", "day", "month")


def only_review(ledger):
    [review] = reviews.listed(ledger)
    return review


@pytest.mark.parametrize("billed", [None, 30])
def test_the_hold_of_an_unknown_attempt_stays_until_it_is_booked(ledger, billed):
    unanswered(ledger)
    assert reviews.park_of_unknown_outcome(ledger, "run-1", NO_LIMITS) == 1
    review = only_review(ledger)
    if billed is not None:
        with pytest.raises(BadInput, match="approve it"):
            reviews.book(ledger, review.id, "ana", billed)
    assert reviews.reject(ledger, [review.id], "ana").changed == 1
    assert money(ledger) == dict.fromkeys(WINDOWS, (100, 0))
    with pytest.raises(BadInput, match="more than"):
        reviews.book(ledger, review.id, "ana", 101)
    assert reviews.book(ledger, review.id, "ana", billed) == 100
    assert money(ledger) == dict.fromkeys(WINDOWS, (0, billed or 0))
    with ledger.read() as connection:
        [attempt] = connection.execute(select(AttemptRow.held_nano_usd, AttemptRow.actual_nano_usd))
    assert tuple(attempt) == (0, billed or 0)
    assert "booked" in reviews.events(ledger, review.id)[-1].note
    with pytest.raises(BadInput, match="no attempt"):
        reviews.book(ledger, review.id, "ana", billed)


@pytest.mark.parametrize("billed", [None, 30])
def test_an_attempt_without_a_review_is_listed_and_booked_by_its_own_id(ledger, billed):
    # as under on_unknown = "resend", which parks nothing
    attempt_id = unanswered(ledger)
    [hold] = reviews.unknown_holds(ledger)
    assert (hold.attempt_id, hold.job_id, hold.run_id, hold.held) == (attempt_id, "job-0", "run-1", 100)
    assert (hold.review_id, hold.model, hold.since is None) == (None, "claude-haiku-5-5", False)
    assert reviews.book_attempt(ledger, attempt_id, "ana", billed) == 100
    assert money(ledger) == dict.fromkeys(WINDOWS, (0, billed or 0))
    assert reviews.unknown_holds(ledger) == []
    with ledger.read() as connection:
        [error] = connection.scalars(select(AttemptRow.error))
    assert error.endswith("booked by ana")


def test_an_attempt_with_a_review_is_booked_as_the_review_would_be(ledger):
    attempt_id = unanswered(ledger)
    reviews.park_of_unknown_outcome(ledger, "run-1", NO_LIMITS)
    review = only_review(ledger)
    assert [hold.review_id for hold in reviews.unknown_holds(ledger)] == [review.id]
    with pytest.raises(BadInput, match="approve it"):
        reviews.book_attempt(ledger, attempt_id, "ana", 30)
    reviews.reject(ledger, [review.id], "ana")
    assert reviews.book_attempt(ledger, attempt_id, "ana", 30) == 100
    assert reviews.events(ledger, review.id)[-1].note == "1 attempt(s) booked: it was billed 0.000000030 USD"


@pytest.mark.parametrize(
    ("attempt", "billed", "sentence"),
    [
        (None, 101, "more than the"),
        (None, -1, "less than nothing"),
        ("att_gone", 1, "There is no attempt att_gone"),
        ("", None, "There is no attempt"),
    ],
)
def test_what_cannot_be_booked_is_refused_and_the_hold_stays(ledger, attempt, billed, sentence):
    attempt_id = unanswered(ledger)
    with pytest.raises(BadInput, match=sentence):
        reviews.book_attempt(ledger, attempt_id if attempt is None else attempt, "ana", billed)
    assert money(ledger) == dict.fromkeys(WINDOWS, (100, 0))


@pytest.mark.parametrize("accepts", [False, True])
def test_an_attempt_may_have_cost_more_than_was_held_for_it_up_to_its_worst_case(ledger, accepts):
    # as with holds at a percentile of the observed output
    attempt_id = unreadable(ledger) if accepts else unanswered(ledger)
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(worst_case_nano_usd=150))
    end = reviews.accept_attempt if accepts else reviews.book_attempt
    with pytest.raises(BadInput, match=r"0\.000000151 USD is more than the 0\.000000150 USD"):
        end(ledger, attempt_id, "ana", 151)
    end(ledger, attempt_id, "ana", 130)
    assert money(ledger) == dict.fromkeys(WINDOWS, (0, 130))


def test_what_has_ended_is_not_booked_again(ledger):
    attempt_id = unanswered(ledger)
    reviews.book_attempt(ledger, attempt_id, "ana", None)
    with pytest.raises(BadInput, match="is failed, not of unknown outcome"):
        reviews.book_attempt(ledger, attempt_id, "ben", 30)
    assert money(ledger) == dict.fromkeys(WINDOWS, (0, 0))


@pytest.mark.parametrize("review_id", [7, 0, 10**30])
def test_a_review_that_is_not_there_has_nothing_to_book(ledger, review_id):
    with pytest.raises(BadInput, match="There is no review"):
        reviews.book(ledger, review_id, "ana", None)


def test_a_review_without_such_an_attempt_has_nothing_to_book(ledger):
    begin(ledger)
    [review_id] = waiting(ledger, 1)
    with pytest.raises(BadInput, match="no attempt of unknown outcome"):
        reviews.book(ledger, review_id, "ana", None)


@pytest.mark.parametrize("by_attempt", [False, True])
def test_of_two_people_who_book_at_once_one_has_booked_and_the_other_is_told_why_not(ledger, by_attempt):
    attempt_id = unanswered(ledger)
    reviews.park_of_unknown_outcome(ledger, "run-1", NO_LIMITS)
    review = only_review(ledger)
    reviews.reject(ledger, [review.id], "ana")

    def book(by, billed):
        try:
            if by_attempt:
                return reviews.book_attempt(ledger, attempt_id, by, billed)
            return reviews.book(ledger, review.id, by, billed)
        except BadInput as error:
            return str(error)

    with ThreadPoolExecutor(2) as people:
        with ledger.write() as connection:
            one_at_a_time(connection)
            both = [people.submit(book, "ana", 30), people.submit(book, "ben", 40)]
            wait_for_waiters(ledger, 2)
        said = [one.result(timeout=60) for one in both]
    assert sorted(map(type, said), key=str) == [int, str]
    assert "nothing was booked" in next(one for one in said if isinstance(one, str))
    assert attempt_states(ledger) == ["failed"]
    assert money(ledger)["run"] in ((0, 30), (0, 40))
    with ledger.read() as connection:
        notes = list(
            connection.scalars(select(ReviewEventRow.note).where(ReviewEventRow.note.contains("booked")))
        )
    assert len(notes) == 1


def test_the_holds_of_one_run_are_listed_up_to_a_number_and_counted(ledger):
    begin(ledger, "run-1")
    jobs.add(ledger, "run-1", [job(row) for row in range(3)], [])
    held = take(ledger, [10, 20, 30], "run-1").held
    write_down(ledger, [one.attempt_id for one in held], [unknown(one) for one in held[:2]])
    unanswered(ledger, "run-2", text="another")
    assert {hold.held for hold in reviews.unknown_holds(ledger, "run-1")} == {10, 20}
    assert len(reviews.unknown_holds(ledger, "run-1", 1)) == 1
    assert reviews.count_unknown_holds(ledger, "run-1") == 2
    assert len(reviews.unknown_holds(ledger)) == 3


@pytest.mark.parametrize("billed", [None, 0, 50, 90])
def test_an_answer_that_comes_after_it_was_booked_is_booked_in_place_of_that(ledger, billed):
    attempt_id = unanswered(ledger)
    reviews.book_attempt(ledger, attempt_id, "ana", billed)
    late = settlement(
        attempt_id,
        AttemptState.SUCCEEDED,
        Outcome.SUCCEEDED,
        cost=70,
        billing=Billing.FULL,
        input_tokens=10,
        response="{}",
    )
    write_down(ledger, [], [late])
    assert (attempt_states(ledger), money(ledger)["day"]) == (["succeeded"], (0, 70))
    # once, however often it is settled
    write_down(ledger, [], [late])
    assert money(ledger)["day"] == (0, 70)
