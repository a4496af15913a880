"""What came and could not be read is accepted once, by a person, and is the answer of its job from then on."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from schemas.errors import BadInput
from schemas.job import Approval
from schemas.ledger import AttemptRow, JobRow, ResponseRow, RunRow
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger import jobs, reviews, run_sums
from services.ledger.pruning import prune
from services.ledger.verify import check_answers, check_holds, check_paid_once, check_reviews, check_rows
from services.ledger.verify_windows import check_windows
from services.ledger.windows import one_at_a_time
from tests.ledgers import outcomes, rows, succeeded
from tests.strategies import begin, end_early, job, quick_ledger, take, write_down
from tests.test_ledger.test_reviews.table import (
    FIGURES,
    NO_LIMITS,
    RAW,
    attempt_states,
    edit_of,
    money,
    parked,
    unanswered,
    unknown_review,
    unread_review,
    unreadable,
    wait_for_waiters,
)

WINDOWS = ("run", "day", "month")
CHECKS = (check_windows, check_holds, check_rows, check_answers, check_paid_once, check_reviews)


def assert_sound(ledger):
    with ledger.read() as connection:
        for check in CHECKS:
            found = check(connection)
            assert found.ok, found


def test_the_raw_answer_is_the_answer_the_hold_is_what_was_billed_and_the_review_is_closed(ledger):
    review, attempt_id = unread_review(ledger)
    assert reviews.accept(ledger, review.id, "ana", 30) == (attempt_id, 100)
    assert money(ledger) == dict.fromkeys(WINDOWS, (0, 30))
    assert outcomes(ledger) == [("succeeded", None)]
    [attempt] = rows(
        ledger, AttemptRow, AttemptRow.state, AttemptRow.held_nano_usd, AttemptRow.actual_nano_usd,
        AttemptRow.billing, AttemptRow.tries, AttemptRow.request_id, AttemptRow.actual_input_tokens,
    )  # fmt: skip
    assert attempt == ("succeeded", 0, 30, "partial", 2, "req_1", None)
    assert rows(ledger, ResponseRow, ResponseRow.body) == [(RAW,)]
    found = reviews.one_review(ledger, review.id)
    assert (found.status, found.decided_by, found.sent_attempt_id) == ("sent", "ana", attempt_id)
    said = reviews.events(ledger, review.id)[-1]
    assert (said.by, said.from_status, said.to_status) == ("ana", "pending", "sent")
    assert said.note == f"raw answer of {attempt_id} accepted; it was billed 0.000000030 USD"
    assert reviews.raw_answers(ledger, review.id) == []
    [sums] = run_sums.by_model(ledger, "run-1")
    assert (sums.actual, sums.actual_input, sums.partial) == (30, 0, 1)
    assert_sound(ledger)


def test_the_next_run_of_the_same_job_gets_the_accepted_answer_and_pays_nothing(ledger):
    review, attempt_id = unread_review(ledger)
    reviews.accept(ledger, review.id, "ana", 30)
    end_early(ledger, "run-1")
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0)], [])
    assert jobs.next_in_queue(ledger, "run-2", 10) == []
    assert outcomes(ledger, "run-2") == [("succeeded", None)]
    [answer] = run_sums.answers(ledger, "run-2")
    assert (answer.attempt_id, answer.body) == (attempt_id, RAW)
    assert money(ledger)["day"] == (0, 30)


def test_a_run_that_has_ended_is_published_again_once(ledger):
    review, _ = unread_review(ledger)
    end_early(ledger, "run-1")
    assert reviews.runs_to_publish(ledger) == []
    reviews.accept(ledger, review.id, "ana", 30)
    assert reviews.runs_to_publish(ledger) == ["run-1"]
    with ledger.write() as connection:
        ended = connection.scalar(select(AttemptRow.ended_at))
        connection.execute(update(RunRow).values(ended_at=ended))
    assert reviews.runs_to_publish(ledger) == []


def test_an_accepted_answer_is_sound_also_when_its_history_is_pruned(ledger):
    review, _ = unread_review(ledger)
    reviews.accept(ledger, review.id, "ana", 30)
    end_early(ledger, "run-1")
    assert prune(ledger, datetime.now(UTC) + timedelta(days=1))["attempts stripped"] == 1
    assert rows(ledger, AttemptRow, AttemptRow.error) == [(None,)]
    assert_sound(ledger)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.integers(0, 10**15),
    others=st.lists(st.integers(1, 10**12), max_size=3),
    share=st.integers(-1, 110),
    body=st.text(),
)
def test_what_was_held_becomes_what_was_billed_and_nothing_else_moves(
    tmp_path_factory, held, others, share, body
):
    ledger = quick_ledger(f"sqlite:///{tmp_path_factory.mktemp('l')}/ledger.db")
    try:
        review, _ = unread_review(ledger, cost=held, body=body.replace("\0", ""))
        begin(ledger, "run-2")
        jobs.add(
            ledger, "run-2", [job(n, job_id=f"other-{n}", text=f"o {n}") for n in range(len(others))], []
        )
        if others:
            take(ledger, others, "run-2")
        billed = held * share // 100
        before = money(ledger)["day"]
        assert before == (held + sum(others), 0)
        try:
            assert reviews.accept(ledger, review.id, "ana", billed).held == held
        except BadInput:
            assert not 0 <= billed <= held
            assert money(ledger)["day"] == before
        else:
            assert 0 <= billed <= held
            assert money(ledger)["day"] == (sum(others), billed)
        with ledger.read() as connection:
            assert check_windows(connection).ok
            assert check_holds(connection).ok
    finally:
        ledger.close()


@pytest.mark.parametrize(("billed", "sentence"), [(101, "more than the"), (-1, "less than nothing")])
def test_a_figure_that_cannot_be_right_is_refused_and_nothing_is_changed(ledger, billed, sentence):
    review, _ = unread_review(ledger)
    with pytest.raises(BadInput, match=sentence):
        reviews.accept(ledger, review.id, "ana", billed)
    assert money(ledger) == dict.fromkeys(WINDOWS, (100, 0))
    assert reviews.one_review(ledger, review.id).status == "pending"


def test_where_nothing_came_there_is_nothing_to_accept(ledger):
    review = unknown_review(ledger)
    with pytest.raises(BadInput, match="no raw answer of it is kept"):
        reviews.accept(ledger, review.id, "ana", 30)
    assert attempt_states(ledger) == ["unknown"]
    assert money(ledger) == dict.fromkeys(WINDOWS, (100, 0))


def test_what_was_booked_is_not_accepted_and_what_was_accepted_is_not_booked(ledger):
    review, attempt_id = unread_review(ledger)
    reviews.book(ledger, review.id, "ana", None)
    with pytest.raises(BadInput, match="no attempt of unknown outcome"):
        reviews.accept(ledger, review.id, "ben", 30)
    assert money(ledger) == dict.fromkeys(WINDOWS, (0, 0))
    with pytest.raises(BadInput, match="is failed"):
        reviews.book_attempt(ledger, attempt_id, "ben", 30)


@pytest.mark.parametrize("review_id", [7, 0, 10**30])
def test_a_review_that_is_not_there_has_nothing_to_accept(ledger, review_id):
    with pytest.raises(BadInput, match="There is no review"):
        reviews.accept(ledger, review_id, "ana", 30)


def test_what_somebody_else_claimed_approved_or_rejected_is_left_to_them(ledger):
    review, _ = unread_review(ledger)
    reviews.claim(ledger, [review.id], "ana")
    with pytest.raises(BadInput, match="claimed by ana"):
        reviews.accept(ledger, review.id, "ben", 30)
    reviews.approve(ledger, [review.id], "ana")
    with pytest.raises(BadInput, match="approved already, by ana"):
        reviews.accept(ledger, review.id, "ben", 30)
    reviews.reopen(ledger, [review.id], "ben")
    reviews.reject(ledger, [review.id], "ana")
    with pytest.raises(BadInput, match="rejected already, by ana; reopen it first"):
        reviews.accept(ledger, review.id, "ana", 30)
    reviews.reopen(ledger, [review.id], "ana")
    version = reviews.one_review(ledger, review.id).version
    with pytest.raises(BadInput, match="changed since you read it"):
        reviews.accept(ledger, review.id, "ana", 30, version=version - 1)
    assert money(ledger) == dict.fromkeys(WINDOWS, (100, 0))
    reviews.accept(ledger, review.id, "ana", 30, version=version)


def test_a_job_that_was_sent_again_has_one_answer_and_the_raw_one_is_only_booked(ledger):
    review, attempt_id = unread_review(ledger)
    reviews.approve(ledger, [review.id], "ana")
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0, approval=Approval(review.id, 10**6, 10**9))], [])
    [again] = take(ledger, [50], "run-2", resend_unknown=True).held
    with pytest.raises(BadInput, match=f"sent again .attempt {again.attempt_id}.*--attempt {attempt_id}"):
        reviews.accept(ledger, review.id, "ana", 30)
    write_down(ledger, [again.attempt_id], [succeeded(again, 5, input_tokens=1, output_tokens=1)])
    with pytest.raises(BadInput, match="sent again"):
        reviews.accept(ledger, review.id, "ana", 30)
    assert attempt_states(ledger) == ["succeeded", "unknown"]
    assert money(ledger)["day"] == (100, 5)


def test_of_several_the_newest_that_came_is_accepted_and_the_others_keep_their_holds(ledger):
    unanswered(ledger, "run-0")
    review, attempt_id = unread_review(ledger)
    [raw] = reviews.raw_answers(ledger, review.id)
    assert (raw.attempt_id, raw.held_nano_usd, raw.body) == (attempt_id, 100, RAW)
    assert reviews.accept(ledger, review.id, "ana", 30).attempt_id == attempt_id
    assert attempt_states(ledger) == ["succeeded", "unknown"]
    assert money(ledger)["day"] == (100, 30)


def test_of_two_people_who_accept_at_once_one_has_and_the_other_is_given_the_reason(ledger):
    review, _ = unread_review(ledger)

    def accept(by, billed):
        try:
            return reviews.accept(ledger, review.id, by, billed)
        except BadInput as error:
            return str(error)

    with ThreadPoolExecutor(2) as people:
        with ledger.write() as connection:
            one_at_a_time(connection)
            both = [people.submit(accept, "ana", 30), people.submit(accept, "ben", 40)]
            wait_for_waiters(ledger, 2)
        ended = [one.result(timeout=60) for one in both]
    [refused] = [one for one in ended if isinstance(one, str)]
    assert "Nothing was accepted" in refused
    assert attempt_states(ledger) == ["succeeded"]
    assert money(ledger)["run"] in ((0, 30), (0, 40))


def test_an_accepted_attempt_that_lost_its_answer_is_a_fault(ledger):
    review, _ = unread_review(ledger)
    reviews.accept(ledger, review.id, "ana", 30)
    with ledger.write() as connection:
        connection.execute(ResponseRow.__table__.delete())
    with ledger.read() as connection:
        assert not check_answers(connection).ok


def test_a_read_answer_without_tokens_is_still_a_fault(ledger):
    review, _ = unread_review(ledger)
    reviews.accept(ledger, review.id, "ana", 30)
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(billing=None))
    with ledger.read() as connection:
        assert not check_answers(connection).ok
    assert len(rows(ledger, JobRow, JobRow.row_number)) == 1


def test_what_came_for_an_edit_is_accepted_by_who_claimed_its_review(ledger):
    first = parked(ledger, "run-1", 50)
    payload = edit_of(first)
    reviews.edit(ledger, first.id, "ana", payload, FIGURES)
    attempt_id = unreadable(ledger, run_id="run-2", payload=payload, approval=Approval(first.id, 7, 70))
    with ledger.write() as connection:
        reviews.reopen_unsent(connection, "run-2")
    reviews.park_of_unknown_outcome(ledger, "run-2", NO_LIMITS)
    reviews.claim(ledger, [first.id], "ben")
    assert reviews.accept(ledger, first.id, "ben", 30) == (attempt_id, 100)
    assert outcomes(ledger, "run-2") == [("succeeded", None)]
    found = reviews.one_review(ledger, first.id)
    assert (found.status, found.decided_by, found.sent_run_id) == ("sent", "ben", "run-2")
    assert_sound(ledger)


class TestAnAttemptWithoutAReview:
    """As under `on_unknown = "resend"`, until the next run sends its job again."""

    def test_what_came_is_accepted_and_a_closed_review_says_by_whom(self, ledger):
        attempt_id = unreadable(ledger)
        end_early(ledger, "run-1")
        with ledger.write() as connection:
            connection.execute(delete(ReviewPayloadRow))
            connection.execute(delete(ReviewRow))
        assert reviews.accept_attempt(ledger, attempt_id, "ana", 30) == (attempt_id, 100)
        assert money(ledger) == dict.fromkeys(WINDOWS, (0, 30))
        assert outcomes(ledger) == [("succeeded", None)]
        [found] = reviews.listed(ledger)
        assert (found.status, found.decided_by, found.sent_attempt_id) == ("sent", "ana", attempt_id)
        assert reviews.events(ledger, found.id)[-1].note.startswith(f"raw answer of {attempt_id} accepted")
        assert reviews.runs_to_publish(ledger) == ["run-1"]
        assert_sound(ledger)

    def test_a_job_that_was_sent_again_keeps_its_new_answer_and_no_review_is_left(self, ledger):
        attempt_id = unreadable(ledger)
        begin(ledger, "run-2")
        jobs.add(ledger, "run-2", [job(0)], [])
        [again] = take(ledger, [100], "run-2", resend_unknown=True).held
        write_down(ledger, [again.attempt_id], [succeeded(again)])
        with pytest.raises(BadInput, match=f"sent again .attempt {again.attempt_id}"):
            reviews.accept_attempt(ledger, attempt_id, "ana", 30)
        assert reviews.listed(ledger) == []
        assert sorted(attempt_states(ledger)) == ["succeeded", "unknown"]

    @pytest.mark.parametrize("billed", [-1, 101])
    def test_a_figure_that_cannot_be_right_changes_nothing(self, ledger, billed):
        attempt_id = unreadable(ledger)
        with pytest.raises(BadInput, match="Nothing was accepted"):
            reviews.accept_attempt(ledger, attempt_id, "ana", billed)
        assert money(ledger) == dict.fromkeys(WINDOWS, (100, 0))
        assert reviews.listed(ledger) == []

    def test_where_nothing_came_or_no_such_attempt_is_there_is_nothing_to_accept(self, ledger):
        for attempt_id in (unanswered(ledger), "nope", ""):
            with pytest.raises(BadInput, match="nothing is kept that came"):
                reviews.accept_attempt(ledger, attempt_id, "ana", 30)


def test_an_attempt_with_a_review_is_accepted_in_its_review(ledger):
    review, attempt_id = unread_review(ledger)
    reviews.claim(ledger, [review.id], "ben")
    with pytest.raises(BadInput, match="claimed by ben"):
        reviews.accept_attempt(ledger, attempt_id, "ana", 30)
    reviews.accept_attempt(ledger, attempt_id, "ben", 30)
    [found] = reviews.listed(ledger)
    assert (found.id, found.status, found.decided_by) == (review.id, "sent", "ben")
    assert_sound(ledger)
