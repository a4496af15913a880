"""An answer that was cut off gives way to the attempt that a person approved, and is the answer again if nothing comes of it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from schemas.outcome import Outcome, Reason
from schemas.review_tables import ReviewRow
from services.ledger import holds, reviews
from services.ledger.settle import end_open_attempts
from tests.ledgers import budgets, failed, outcomes, succeeded, unknown
from tests.strategies import settlement, take, write_down
from tests.test_ledger.test_cut_off import (
    approved,
    assert_true,
    cut_off_under_two_models,
    first_night,
    next_night,
    states,
    whole,
)


def interrupted(ledger, held):
    with ledger.write() as connection:
        end_open_attempts(connection, "run-2")


def withheld(ledger, held):
    write_down(
        ledger, [], [settlement(held.attempt_id, "failed", Outcome.DEFERRED, reason=Reason.DAY_BUDGET)]
    )


def queued_again(ledger, held):
    write_down(ledger, [held.attempt_id], [settlement(held.attempt_id, "failed")])


def unavailable(ledger, held):
    write_down(ledger, [held.attempt_id], [failed(held)])


@pytest.mark.parametrize("end", [interrupted, withheld, queued_again, unavailable])
def test_where_nothing_comes_of_the_next_attempt_the_answer_counts_and_is_not_paid_for_again(ledger, end):
    old = first_night(ledger)
    next_night(ledger, approval=approved(ledger))
    [held] = take(ledger, [100], "run-2").held
    end(ledger, held)
    assert states(ledger) == {old: "succeeded", held.attempt_id: "failed"}
    assert budgets(ledger)["day"] == (0, 5)
    assert_true(ledger)
    # the approval lapses, and the job waits for a person again
    with ledger.write() as connection:
        past = datetime.now(UTC) - timedelta(days=1)
        connection.execute(update(ReviewRow).values(expires_at=past))
    reviews.expire(ledger, datetime.now(UTC))
    queued = next_night(ledger, "run-3")
    assert [
        one.row_number for one in queued if one.row_number not in holds.cut_off_before(ledger, queued)
    ] == []
    assert take(ledger, [100], "run-3").held == []


def test_within_its_run_it_gives_way_once_more_and_then_the_next_answer_counts(ledger):
    old = first_night(ledger)
    next_night(ledger, approval=approved(ledger))
    for _ in range(2):
        [held] = take(ledger, [100], "run-2").held
        assert states(ledger)[old] == "failed"
        queued_again(ledger, held)
    [held] = take(ledger, [100], "run-2").held
    write_down(ledger, [held.attempt_id], [whole(held)])
    assert outcomes(ledger, "run-2") == [("succeeded", None)]
    assert (states(ledger)[old], states(ledger)[held.attempt_id]) == ("failed", "succeeded")
    assert_true(ledger)


def test_all_that_gave_way_counts_again(ledger):
    both = cut_off_under_two_models(ledger)
    next_night(ledger, "run-3", approval=approved(ledger))
    [held] = take(ledger, [100], "run-3").held
    unavailable(ledger, held)
    assert states(ledger) == dict.fromkeys(both, "succeeded") | {held.attempt_id: "failed"}


def test_what_may_have_been_billed_is_the_last_word_until_it_is_known(ledger):
    old = first_night(ledger)
    next_night(ledger, approval=approved(ledger))
    [held] = take(ledger, [100], "run-2").held
    write_down(ledger, [held.attempt_id], [unknown(held)])
    assert states(ledger) == {old: "failed", held.attempt_id: "unknown"}
    write_down(ledger, [], [succeeded(held, 7)])
    assert states(ledger) == {old: "failed", held.attempt_id: "succeeded"}
    assert budgets(ledger)["day"] == (0, 12)
