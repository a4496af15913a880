"""Prior attempts: which of them serve a job as it is now, and which keep it back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from rules.identity import paid_again_line, same_model
from schemas.errors import RunFailed
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import AttemptState, Outcome, Reason, ReviewStatus
from schemas.payload.payload import Payload
from schemas.review_tables import ReviewRow
from services.ledger import holds, jobs
from services.ledger.prior import paid_again
from tests.strategies import begin, caps, job, key_of, request, settlement, take, weighed, write_down

HAIKU, OPUS, OLD = "claude-haiku-5-5", "claude-opus-5-5", "claude-haiku-4-5"
models = st.sampled_from([HAIKU, OPUS, OLD, f"{OLD}-20251001"])


@given(st.none() | models, models)
def test_an_answer_serves_a_job_without_a_pin_or_with_a_pin_to_its_model(pin, model):
    alias = {f"{OLD}-20251001": OLD}
    assert same_model(pin, model) == (pin is None or alias.get(pin, pin) == alias.get(model, model))


def ended(ledger, run_id, state, *, model=None, **more):
    """A run of one job whose attempt, under a model, ended so."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, "a", **more)], [])
    [held] = take(ledger, [10], run_id).held
    cost = 5 if state == AttemptState.SUCCEEDED else None
    write_down(ledger, [held.attempt_id], [settlement(held.attempt_id, state, Outcome(state), cost=cost)])
    if model:
        with ledger.write() as connection:
            connection.execute(
                update(AttemptRow).where(AttemptRow.attempt_id == held.attempt_id).values(model=model)
            )
    return held.attempt_id


@pytest.mark.parametrize(
    ("pin", "model", "serves"),
    [(None, OPUS, True), (OPUS, OPUS, True), (HAIKU, OPUS, False), (OLD, f"{OLD}-20251001", True)],
)
def test_an_earlier_answer_of_another_model_than_the_pin_is_paid_again(ledger, pin, model, serves):
    attempt = ended(ledger, "run-1", AttemptState.SUCCEEDED, model=model)
    begin(ledger, "run-2")
    assert jobs.add(ledger, "run-2", [job(0, "a", model=pin)], []) == (0 if serves else 1)
    with ledger.read() as connection:
        row = connection.execute(select(JobRow).where(JobRow.run_id == "run-2")).one()
    assert (row.outcome, row.attempt_id) == (("succeeded", attempt) if serves else (None, None))
    assert paid_again(ledger, "run-2") == ({} if serves else {"pinned to another model": 1})
    # at its admission too, and the answer of each model stays
    assert len(take(ledger, [10], "run-2").held) == (0 if serves else 1)


@pytest.mark.parametrize("first", [AttemptState.OPEN, AttemptState.SUCCEEDED])
def test_a_job_is_live_once_under_each_model_and_never_twice_under_one(ledger, first):
    ended(ledger, "run-1", AttemptState.SUCCEEDED, model=HAIKU)
    with ledger.read() as connection:
        row = dict(connection.execute(select(AttemptRow.__table__)).mappings().one())
    row |= {"state": first, "attempt_id": "other"}
    with ledger.write() as connection:
        connection.execute(insert(AttemptRow).values(**row | {"model": OPUS}))
    with pytest.raises(RunFailed), ledger.write() as connection:
        connection.execute(insert(AttemptRow).values(**row | {"attempt_id": "third", "model": OPUS}))


def test_a_changed_request_of_an_answered_job_is_announced_with_what_changed(ledger):
    ended(ledger, "run-1", AttemptState.SUCCEEDED)
    begin(ledger, "run-2")
    longer = Payload.checked(request() | {"max_tokens": 200})
    other = Payload.checked(request("bye"))
    jobs.add(ledger, "run-2", [job(0, "a", payload=longer), job(1, "new")], [])
    assert paid_again(ledger, "run-2") == {"with another max_tokens": 1}
    begin(ledger, "run-3")
    jobs.add(ledger, "run-3", [job(0, "a", payload=other)], [])
    assert paid_again(ledger, "run-3") == {"with another request": 1}
    line = paid_again_line({"with another max_tokens": 1_200, "pinned to another model": 3})
    assert line.startswith("1,203 jobs were answered before")
    assert "1,200 with another max_tokens, 3 pinned to another model" in line


# ------------------------------------------------------------------------------------- attempts of unknown outcome


def review_of(ledger, attempt_run, *, reason, status=ReviewStatus.APPROVED, edited=None, after=1):
    """A review of the job "a"; decided so many seconds after its attempt ended. Its id."""
    with ledger.write() as connection:
        row = connection.execute(select(AttemptRow).where(AttemptRow.run_id == attempt_run)).first()
        decided = row.ended_at + timedelta(seconds=after)
        connection.execute(
            insert(ReviewRow).values(
                job_id="a",
                run_id=attempt_run,
                row_number=0,
                fingerprint=row.fingerprint,
                edited_fingerprint=edited,
                reason=reason,
                detail="",
                status="pending",
                max_tokens=100,
                limit_tokens=1,
                limit_nano_usd=1,
                worst_case_nano_usd=100,
                input_tokens=10,
                created_at=datetime.now(UTC),
            )
        )
        connection.execute(update(ReviewRow).values(status=status, decided_by="ana", decided_at=decided))
        return connection.scalar(select(ReviewRow.id))


def again(ledger, review_id, **more):
    """The job "a" in another run, under a review; as it is queued."""
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0, "a", **more)], [])
    [queued] = jobs.next_in_queue(ledger, "run-2", 1)
    return replace(queued, review_id=review_id)


@pytest.mark.parametrize(
    ("reason", "after", "may_go"),
    [
        (Reason.UNKNOWN_OUTCOME, 1, True),
        (Reason.UNKNOWN_OUTCOME, -1, False),
        (Reason.OVER_INPUT_LIMIT, 1, False),
        (Reason.OVER_COST_LIMIT, -1, False),
    ],
)
def test_only_who_was_shown_that_it_may_have_been_billed_can_have_it_sent_again(
    ledger, reason, after, may_go
):
    ended(ledger, "run-1", AttemptState.UNKNOWN)
    queued = again(ledger, review_of(ledger, "run-1", reason=reason, after=after))
    doubts = holds.in_doubt(ledger, [queued])
    assert (doubts == {}) == may_go
    taken = holds.take(
        ledger, key_of("run-2"), [weighed(queued, 10)], caps("run-2"), may_defer=True, resend_unknown=False
    )
    assert len(taken.held) == may_go
    if not may_go:
        with ledger.read() as connection:
            row = connection.execute(select(JobRow).where(JobRow.run_id == "run-2")).one()
        assert (row.outcome, row.reason) == ("unknown", "unknown_outcome")
        assert (doubts[0].outcome, doubts[0].reason) == ("unknown", "unknown_outcome")


@pytest.mark.parametrize("pin", [None, OPUS])
@pytest.mark.parametrize("sent", ["original", "edit"])
def test_an_attempt_at_either_payload_of_a_review_keeps_the_other_back(ledger, sent, pin):
    edit = Payload.checked(request("shorter"))
    original = Payload.checked(request("hello"))
    first, second = (original, edit) if sent == "original" else (edit, original)
    ended(ledger, "run-1", AttemptState.UNKNOWN, payload=first)
    review = review_of(ledger, "run-1", reason=Reason.OVER_COST_LIMIT, edited=second.fingerprint)
    queued = again(ledger, None, payload=second, model=pin)
    assert review
    assert set(holds.in_doubt(ledger, [queued])) == {0}
    assert holds.in_doubt(ledger, []) == {}


def test_a_job_that_nothing_is_known_of_is_in_no_doubt(ledger):
    ended(ledger, "run-1", AttemptState.FAILED)
    assert holds.in_doubt(ledger, [again(ledger, None)]) == {}
