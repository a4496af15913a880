"""The shortest way to rows of the review table, and to attempts of unknown outcome."""

import time
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, text, update

from schemas.job import Approval
from schemas.ledger import AttemptRow, BudgetRow, JobRow
from schemas.outcome import AttemptState, Method, Outcome, Reason, ReviewStatus
from schemas.payload.payload import Payload
from schemas.review import EditEstimate
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger import jobs, reviews
from services.ledger.reviews import JobLimits
from tests.strategies import begin, job, request, settlement, take, write_down

NO_LIMITS = JobLimits(None, None)
#: what the database would take and nothing of ours does: there is no approval whose time could pass
ONLY_THE_DATABASE = {
    (ReviewStatus.PENDING, ReviewStatus.EXPIRED),
    (ReviewStatus.CLAIMED, ReviewStatus.EXPIRED),
}
#: half an answer, as it is kept with the attempt that it came for
RAW = '{"id": "msg_1", "content": [{"type": "text", "te'
FIGURES = EditEstimate("claude-haiku-5-5", 7, Method.COUNTED, 70)


def waiting(ledger, number=3, start=0, **more):
    """Pending reviews of run-1; their ids."""
    rows = [
        {
            "job_id": f"job-{row}", "run_id": "run-1", "reason": "over_cost_limit", "detail": "dear", "row_number": row,
            "created_at": datetime.now(UTC), "fingerprint": f"f{row}", "model": "claude-opus-5-5",
            "input_tokens": 100 + row, "worst_case_nano_usd": 10**9 * (row + 1),
        } | more
        for row in range(start, start + number)
    ]  # fmt: skip
    with ledger.write() as connection:
        connection.execute(insert(ReviewRow), rows)
        found = connection.scalars(select(ReviewRow.id).order_by(ReviewRow.id.desc()).limit(number))
        ids = sorted(found)
        connection.execute(insert(ReviewPayloadRow), [{"review_id": i, "payload": "{}"} for i in ids])
    return ids


def sql(ledger, statement, **values):
    with ledger.write() as connection:
        return connection.execute(text(statement), values).rowcount


def put_in_review(ledger, run_id, reason, tokens=50, review_id=None):
    """Give the jobs of a run the outcome `review`, as admission does."""
    with ledger.write() as connection:
        connection.execute(
            update(JobRow)
            .where(JobRow.run_id == run_id)
            .values(
                outcome=Outcome.REVIEW, reason=reason, model="m", input_tokens=tokens, worst_case_nano_usd=tokens * 10,
                review_id=review_id, detail=f"{reason}: {tokens}",
            )
        )  # fmt: skip


def parked(ledger, run_id, tokens, reason=Reason.OVER_INPUT_LIMIT, review_id=None, sent="hello"):
    """A run whose only job waits for a person; its review."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, text=sent)], [])
    put_in_review(ledger, run_id, reason, tokens, review_id)
    assert (
        reviews.park_over_budget(
            ledger, run_id, NO_LIMITS, lambda parked: f"raise to {parked.job.input_tokens}"
        )
        == 1
    )
    [found] = [one for one in reviews.listed(ledger) if one.job_id == "job-0"]
    return found


def unanswered(ledger, run_id="run-1", cost=100, approval=None, **sent):
    """A run that sent its only job and had no answer; the attempt's id."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, approval=approval, **sent)], [])
    [held] = take(ledger, [cost], run_id, resend_unknown=True).held
    unknown = settlement(
        held.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, detail="no answer"
    )  # fmt: skip
    write_down(ledger, [held.attempt_id], [unknown])
    return held.attempt_id


def unreadable(ledger, body=RAW, run_id="run-1", cost=100, **sent):
    """A run whose only job was answered with what cannot be read; the attempt's id."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(0, **sent)], [])
    [held] = take(ledger, [cost], run_id, resend_unknown=True).held
    end = settlement(
        held.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN, reason=Reason.UNKNOWN_OUTCOME, response=body,
        request_id="req_1", tries=2,
    )  # fmt: skip
    write_down(ledger, [held.attempt_id], [end])
    return held.attempt_id


def unread_review(ledger, **more):
    """The review of such a job, and its attempt."""
    attempt_id = unreadable(ledger, **more)
    assert reviews.park_of_unknown_outcome(ledger, "run-1", NO_LIMITS) == 1
    [review] = [found for found in reviews.listed(ledger) if found.run_id == "run-1"]
    return review, attempt_id


def unknown_review(ledger, run_id="run-1", **sent):
    """The review of a job whose attempt may have been billed."""
    unanswered(ledger, run_id, **sent)
    assert reviews.park_of_unknown_outcome(ledger, run_id, NO_LIMITS, lambda _: "look it up") == 1
    [found] = reviews.listed(ledger)
    return found


def money(ledger):
    """What is held and settled, by scope."""
    with ledger.read() as connection:
        query = select(BudgetRow.scope, BudgetRow.held_nano_usd, BudgetRow.settled_nano_usd)
        return {scope: (held, settled) for scope, held, settled in connection.execute(query)}


def attempt_states(ledger):
    with ledger.read() as connection:
        return sorted(connection.scalars(select(AttemptRow.state)))


def wait_for_waiters(ledger, number):
    """Wait until this many transactions wait for the money, or, on SQLite, long enough that they would."""
    if ledger.engine.dialect.name == "sqlite":
        time.sleep(0.3)
        return
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(200):
        with ledger.read() as connection:
            if connection.scalar(query) == number:
                return
        time.sleep(0.05)
    pytest.fail("they do not wait for each other")


def edit_of(review):
    """A payload that a person made of a review's."""
    return Payload.checked(request(f"edited {review.job_id}"))


def edited_and_unanswered(ledger):
    """A review whose edit was sent in run-2 and had no answer, as the run leaves it."""
    first = parked(ledger, "run-1", 50)
    payload = edit_of(first)
    assert reviews.edit(ledger, first.id, "ana", payload, FIGURES).changed == 1
    unanswered(ledger, "run-2", payload=payload, approval=Approval(first.id, 7, 70))
    with ledger.write() as connection:
        reviews.reopen_unsent(connection, "run-2")
    assert reviews.park_of_unknown_outcome(ledger, "run-2", NO_LIMITS, lambda _: "look it up") == 1
    found = reviews.one_review(ledger, first.id)
    assert (found.status, found.reason) == ("pending", "unknown_outcome")
    assert found.edited_fingerprint == payload.fingerprint
    return found
