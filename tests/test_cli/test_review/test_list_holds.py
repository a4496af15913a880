"""`weighbridge review holds`, and booking an attempt that has no review."""

import pytest
from sqlalchemy import delete

from schemas.outcome import AttemptState, Outcome, Reason
from schemas.review_tables import ReviewRow
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from tests.strategies import begin, job, settlement, take, write_down
from tests.test_ledger.test_reviews.table import unreadable


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


def test_what_came_for_an_attempt_without_a_review_is_shown_and_accepted(weighbridge, ledger):
    attempt_id = unreadable(ledger, body="<b>half an answer\x1b[2J")
    assert weighbridge("review", "holds", "--json").json[0]["came"] is True
    assert f"{attempt_id}" in weighbridge("review", "holds").out
    shown = weighbridge("review", "holds", "--attempt", attempt_id)
    assert "<b>half an answer?[2J" in shown.out
    assert f"weighbridge review accept --attempt {attempt_id}" in shown.out
    values = weighbridge("review", "holds", "--attempt", attempt_id, "--json").json
    assert (values["attempt_id"], values["left_out_bytes"]) == (attempt_id, 0)
    done = weighbridge("review", "accept", "--attempt", attempt_id, "--billed", "0.00000003", "--by", "ana")
    assert (done.code, done.err) == (0, "")
    assert f"Attempt {attempt_id}: the raw answer" in done.out
    assert "No money is held" in weighbridge("review", "holds").out


@pytest.mark.parametrize("named", [[], ["1", "--attempt", "att_1"]], ids=["neither", "both"])
def test_accepting_takes_a_review_or_an_attempt(weighbridge, unknown, named):
    refused = weighbridge("review", "accept", *named, "--not-billed", "--by", "ana")
    assert (refused.code, "Name either the id of a review or --attempt" in refused.sentence) == (2, True)


def test_where_nothing_came_there_is_nothing_to_show(weighbridge, unknown):
    assert [one["came"] for one in weighbridge("review", "holds", "--json").json] == [False, False]
    assert "review accept" not in weighbridge("review", "holds").out
    for attempt in (unknown[0], "nope"):
        refused = weighbridge("review", "holds", "--attempt", attempt)
        assert (refused.code, "nothing is kept that came" in refused.sentence) == (2, True)
