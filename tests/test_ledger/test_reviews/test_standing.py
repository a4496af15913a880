"""What people decide about a job that a run has read and not sent yet: the run acts on what holds when its turn comes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from flows.nightly_batch import weigh_and_send
from schemas.payload.payload import Payload
from schemas.review_tables import ReviewRow
from services.ledger import jobs, reviews
from services.ledger.verify import verify
from tasks.admit import admit
from tasks.read_approved import read_approved
from tasks.read_jobs import read_jobs
from tasks.send import send_here
from tasks.send_batch import batch_bodies, submit
from tasks.shards import Sizes
from tasks.watch_batch import watch
from tests.fake_batches import BatchGateway, assert_budgets_add_up
from tests.fakes import FakeGateway
from tests.nights import Rows, a_run_on_record, night, text_row, weigh
from tests.strategies import request
from tests.test_ledger.test_reviews.table import FIGURES
from tests.test_tasks.test_resubmit_approved import TIGHT, outcomes, standing

pytestmark = pytest.mark.one_database

ROWS = [{"job_id": "heavy"} | text_row("h" * 80)]
EDITED = Payload.checked(request("e" * 90))


async def approved(ledger, folder):
    """The review of a parked job, which Ana has approved."""
    await night(ledger, folder, 1, ROWS, **TIGHT)
    [review] = reviews.listed(ledger)
    assert reviews.approve(ledger, [review.id], "ana").changed == 1
    return review.id


async def sent_after(ledger, folder, decide, *, from_file):
    """What a run sends that read what was approved before something was decided; and its report."""
    gateway = FakeGateway()
    run = await a_run_on_record(ledger, gateway, folder, "run-2", **TIGHT)
    if from_file:
        await read_jobs(run, Rows(ROWS), None, resubmit_approved=True)
    else:
        await read_approved(run)
    decide()
    report = await weigh_and_send(run, Sizes(count=2, admit=2))
    found = verify(ledger)
    assert found.ok, found
    return [body["messages"][0]["content"] for body in gateway.sent], report


def lapse(ledger, number):
    with ledger.write() as connection:
        gone = datetime.now(UTC) - timedelta(hours=1)
        connection.execute(update(ReviewRow).where(ReviewRow.id == number).values(expires_at=gone))


def edited_after_all(ledger, number):
    reviews.reopen(ledger, [number], "ana")
    assert reviews.edit(ledger, number, "ana", EDITED, FIGURES)


LATER = {
    "rejected": (lambda one, number: reviews.reject(one, [number], "ana"), "rejected", "rejected"),
    "taken back": (lambda one, number: reviews.reopen(one, [number], "ben"), "review", "pending"),
    "lapsed": (lapse, "review", "pending"),
    "edited": (edited_after_all, "deferred", "edited"),
    "approved again": (lambda one, number: reviews.approve(one, [number], "ana"), "succeeded", "sent"),
}


@pytest.mark.parametrize("from_file", [True, False], ids=["of a file", "of the reviews"])
@pytest.mark.parametrize("later", LATER)
async def test_a_run_sends_what_is_approved_when_its_turn_comes(ledger, tmp_path, later, from_file):
    number = await approved(ledger, tmp_path)
    decide, outcome, status = LATER[later]
    sent, _ = await sent_after(ledger, tmp_path, lambda: decide(ledger, number), from_file=from_file)
    assert outcomes(ledger, "run-2")["heavy"][0] == outcome
    assert len(sent) == (outcome == "succeeded")
    assert standing(ledger)["heavy"].status == status


async def test_the_ceilings_are_those_of_the_last_approval(ledger, tmp_path):
    await night(ledger, tmp_path, 1, ROWS, **TIGHT)
    [review] = reviews.listed(ledger)
    reviews.approve(ledger, [review.id], "ana", ceiling_usd=Decimal(5), ceiling_tokens=9_000)
    run = await a_run_on_record(ledger, None, tmp_path, "run-2", **TIGHT)
    await read_approved(run)
    reviews.approve(ledger, [review.id], "ana")
    queued = jobs.next_in_queue(ledger, "run-2", 10)
    assert [(job.ceiling, job.ceiling_tokens) for job in queued] == [(5 * 10**9, 9_000)]
    [job], ended = reviews.as_approved_now(ledger, queued)
    assert ended == []
    assert (job.ceiling, job.ceiling_tokens) == (review.worst_case_nano_usd, review.input_tokens)


def lower_ceiling(ledger, number):
    """Approved again, for less than it weighs: a person who knows SQL may do that."""
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).where(ReviewRow.id == number).values(status="approved", decided_by="ana", ceiling_tokens=1))  # fmt: skip


BEFORE_IT_LEAVES = LATER | {"ceiling lowered": (lower_ceiling, "review", "pending")}
TWO = [{"job_id": name} | text_row(name + "h" * 80) for name in ("heavy", "other")]


async def left(run, admission):
    """What is sent of an admission."""
    if run.policy.mode == "messages":
        await send_here(run, admission.held)
        return len(run.gateway.sent)
    for body in batch_bodies(run, admission.held):
        if batch := await submit(run, body):
            await watch(run, batch)
    return sum(map(len, run.gateway.made.values()))


@pytest.mark.parametrize("mode", ["messages", "batches"])
@pytest.mark.parametrize("later", BEFORE_IT_LEAVES)
async def test_nothing_leaves_that_a_person_does_not_let_pass_any_more_although_its_money_is_held(
    ledger, tmp_path, later, mode
):
    await night(ledger, tmp_path, 1, TWO, **TIGHT)
    by_job = {review.job_id: review.id for review in reviews.listed(ledger)}
    assert reviews.approve(ledger, list(by_job.values()), "ana").changed == 2
    gateway = FakeGateway() if mode == "messages" else BatchGateway()
    run = await a_run_on_record(ledger, gateway, tmp_path, "run-2", mode=mode, **TIGHT)
    await read_approved(run)
    await weigh(run, 10)
    admission = await admit(run, 10, may_defer=True)
    assert len(admission.held) == 2
    decide, outcome, status = BEFORE_IT_LEAVES[later]
    decide(ledger, by_job["heavy"])
    assert await left(run, admission) == 1 + (outcome == "succeeded")
    await weigh_and_send(run, Sizes(count=2, admit=2))
    assert outcomes(ledger, "run-2")["heavy"][0] == outcome
    assert outcomes(ledger, "run-2")["other"][0] == "succeeded"
    assert {name: row.status for name, row in standing(ledger).items()} == {"heavy": status, "other": "sent"}
    assert_budgets_add_up(ledger)
    found = verify(ledger)
    assert found.ok, found


def approved_higher(ledger, number):
    reviews.approve(ledger, [number], "ana", ceiling_usd=Decimal(5), ceiling_tokens=9_000)


DECIDED_SINCE = {
    "approved higher": (approved_higher, "approved"),
    "edited": (edited_after_all, "edited"),
    "approved as low": (lower_ceiling, "pending"),
    "not at all": (lambda *_: None, "pending"),
}


@pytest.mark.parametrize("since", DECIDED_SINCE)
async def test_what_a_person_decides_after_a_job_was_over_its_ceiling_stays_when_the_run_ends(
    ledger, tmp_path, since
):
    number = await approved(ledger, tmp_path)
    lower_ceiling(ledger, number)
    run = await a_run_on_record(ledger, FakeGateway(), tmp_path, "run-2", **TIGHT)
    await read_approved(run)
    await weigh(run, 10)
    await admit(run, 10, may_defer=True)
    assert outcomes(ledger, "run-2")["heavy"] == ("review", "over_ceiling")
    decide, status = DECIDED_SINCE[since]
    decide(ledger, number)
    before = reviews.one_review(ledger, number)
    await weigh_and_send(run, Sizes(count=2, admit=2))
    after = reviews.one_review(ledger, number)
    assert after.status == status
    if status != "pending":
        assert after == before
    found = verify(ledger)
    assert found.ok, found


@pytest.mark.parametrize("resubmits", [False, True])
@pytest.mark.parametrize("decide", [lambda *_: None, edited_after_all], ids=["as it is", "edited"])
async def test_a_job_whose_approval_has_lapsed_waits_again_after_the_next_night(
    ledger, tmp_path, resubmits, decide
):
    number = await approved(ledger, tmp_path)
    before = reviews.one_review(ledger, number)
    decide(ledger, number)
    lapse(ledger, number)
    await night(ledger, tmp_path, 2, ROWS, resubmit=resubmits, **TIGHT)
    assert outcomes(ledger, "run-2")["heavy"][0] == "review"
    after = reviews.one_review(ledger, number)
    assert (after.status, after.run_id) == ("pending", "run-2")
    figures = ("reason", "model", "input_tokens", "worst_case_nano_usd", "limit_tokens", "payload")
    assert [getattr(after, name) for name in figures] == [getattr(before, name) for name in figures]
    assert (after.ceiling_tokens, after.expires_at) == (None, None)
