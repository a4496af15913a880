"""Leaving: an attempt leaves once, whoever asks, however often and in whatever order, and only while people let it."""

import asyncio

import pytest
from sqlalchemy import select

from schemas.budget import DayCaps
from schemas.ledger import AttemptRow
from schemas.outcome import Reason
from services.ledger import batch_attempts, jobs, reviews, runs
from services.ledger.journal import Journal
from services.ledger.leases import new_token
from services.ledger.leaving import LeftBefore, record_leaving
from services.ledger.pages import PAGE
from services.ledger.reviews.standing import TakenBack
from services.ledger.store import LedgerUnavailable, NotOwner
from tests.ledgers import parked, settle, started, succeeded
from tests.strategies import abandon, begin, caps, key_of, packed, take

KEY = key_of("run-1")


def today(ledger):
    with ledger.read() as connection:
        return DayCaps(connection.scalar(select(AttemptRow.budget_day)) or "", lambda _: ())


def leave(ledger, attempts, token, key=KEY):
    with ledger.write() as connection:
        return record_leaving(connection, key, attempts, today(ledger), token)


def held(ledger, count):
    started(ledger, count)
    return [attempt.attempt_id for attempt in take(ledger, [10] * count).held]


def test_an_attempt_leaves_by_one_delivery_only_which_may_mark_it_again(ledger):
    first, second = held(ledger, 2)
    one, other = new_token(), new_token()
    assert leave(ledger, [first], one) == ({first}, set(), set(), {})
    # its commit may have gone through without an answer
    assert leave(ledger, [first, second], one) == ({first, second}, set(), set(), {})
    assert leave(ledger, [first, second], other) == (set(), set(), {first, second}, {})


def test_one_that_has_ended_is_gone_and_one_of_a_run_that_was_taken_over_is_neither(ledger):
    started(ledger, 2)
    first, second = take(ledger, [10, 10]).held
    settle(ledger, succeeded(first, 5))
    assert leave(ledger, [first.attempt_id], new_token()) == (set(), set(), {first.attempt_id}, {})
    abandon(ledger, "run-1")
    assert runs.close_dead_runs(ledger) == ["run-1"]
    assert leave(ledger, [second.attempt_id], new_token()) == (set(), set(), set(), {})


def test_an_attempt_that_today_has_no_room_for_is_not_marked(ledger):
    [attempt] = held(ledger, 1)
    with ledger.write() as connection:
        another_day = DayCaps("2000-01-01", lambda _: caps("run-1", day=0, date="2000-01-01"))
        found = record_leaving(connection, KEY, [attempt], another_day, new_token())
    assert found == (set(), {attempt}, set(), {})
    with ledger.read() as connection:
        assert connection.execute(select(AttemptRow.sent_at, AttemptRow.sent_by)).one() == (None, None)


async def test_two_deliveries_that_ask_in_one_group_commit_let_it_leave_once(ledger):
    [attempt] = held(ledger, 1)
    journal = Journal(ledger, KEY, lambda: today(ledger))
    asked = [journal.leaving(attempt) for _ in range(3)]
    came = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in came if one is not None] == [LeftBefore, LeftBefore]


async def test_a_commit_whose_answer_was_lost_lets_its_attempts_leave_when_it_is_repeated(
    ledger, monkeypatch
):
    [attempt] = held(ledger, 1)
    journal = Journal(ledger, KEY, lambda: today(ledger))
    write_group, lost = Journal._write_group, []

    def answer_lost(self, group):
        found = write_group(self, group)
        if not lost:
            lost.append(group)
            raise LedgerUnavailable("the connection was lost after the commit.")
        return found

    monkeypatch.setattr(Journal, "_write_group", answer_lost)
    monkeypatch.setattr("services.ledger.journal._RETRY_SECONDS", 0)
    await journal.leaving(attempt)
    assert lost
    with pytest.raises(LeftBefore):
        await Journal(ledger, KEY, lambda: today(ledger)).leaving(attempt)


@pytest.fixture
def approved(ledger):
    """A job that people let pass, with money held for it: its attempt and its review."""
    parked(ledger, "run-0")
    [review] = reviews.listed(ledger)
    assert reviews.approve(ledger, [review.id], "ana").changed == 1
    begin(ledger, "run-1")
    [page] = reviews.approved_jobs(ledger, "run-1", 0)
    jobs.add(ledger, "run-1", page, [])
    [attempt] = take(ledger, [10]).held
    return attempt, review.id


def marks(ledger):
    with ledger.read() as connection:
        return connection.execute(select(AttemptRow.sent_at, AttemptRow.sent_by, AttemptRow.batch_id)).one()


@pytest.mark.parametrize("way", ["by itself", "in a batch"])
def test_what_people_do_not_let_pass_any_more_does_not_leave_either_way_out(ledger, approved, way):
    attempt, review_id = approved
    assert reviews.reject(ledger, [review_id], "ana").changed == 1
    if way == "by itself":
        found = leave(ledger, [attempt.attempt_id], new_token())
        assert found[:3] == (set(), set(), set())
        ends = found.taken_back
    else:
        with pytest.raises(TakenBack) as refused:
            packed(ledger, [attempt.attempt_id])
        ends = refused.value.ends
    assert {one: end.reason for one, end in ends.items()} == {attempt.attempt_id: Reason.REJECTED_BY_REVIEWER}
    assert marks(ledger) == (None, None, None)


def test_of_what_has_left_nobody_is_told_that_it_was_not_sent_whatever_people_say_by_now(ledger, approved):
    attempt, review_id = approved
    assert leave(ledger, [attempt.attempt_id], new_token()).marked == {attempt.attempt_id}
    assert reviews.reject(ledger, [review_id], "ana").changed == 1
    # the same work, delivered again
    assert leave(ledger, [attempt.attempt_id], new_token()) == (set(), set(), {attempt.attempt_id}, {})


def test_who_is_not_the_owner_is_told_nothing_of_what_people_say(ledger, approved):
    attempt, review_id = approved
    assert reviews.reject(ledger, [review_id], "ana").changed == 1
    other = KEY._replace(owner="another")
    assert leave(ledger, [attempt.attempt_id], new_token(), other) == (set(), set(), set(), {})


def test_what_has_left_by_itself_goes_out_in_no_batch(ledger):
    [attempt] = held(ledger, 1)
    leave(ledger, [attempt], new_token())
    before = marks(ledger)
    with pytest.raises(NotOwner):
        packed(ledger, [attempt])
    assert marks(ledger) == before


def test_more_attempts_leave_in_one_batch_than_one_statement_names(ledger):
    ids = held(ledger, PAGE + 1)
    batch = packed(ledger, ids)
    assert batch.requests == PAGE + 1
    assert batch_attempts.ids_of(ledger, batch.batch_id) == set(ids)
