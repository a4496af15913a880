"""Deliveries on record: an attempt leaves once, whoever asks, however often and in whatever order."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from schemas.budget import DayCaps
from schemas.ledger import AttemptRow, RunRow
from schemas.outcome import Reason
from services.ledger import deliveries, holds, jobs, runs
from services.ledger.journal import Journal
from services.ledger.leases import new_token
from services.ledger.settle import LeftBefore, record_leaving
from services.ledger.store import LedgerUnavailable, NotOwner
from tests.ledgers import budgets, failed, outcomes, settle, started, succeeded
from tests.strategies import abandon, begin, caps, job, key_of, take

KEY = key_of("run-1")


def today(ledger):
    with ledger.read() as connection:
        return DayCaps(connection.scalar(select(AttemptRow.budget_day)) or "", lambda _: ())


def leave(ledger, attempts, token):
    with ledger.write() as connection:
        return record_leaving(connection, KEY, attempts, today(ledger), token)


def held(ledger, count):
    started(ledger, count)
    return [attempt.attempt_id for attempt in take(ledger, [10] * count).held]


def test_an_attempt_leaves_by_one_delivery_only_which_may_mark_it_again(ledger):
    first, second = held(ledger, 2)
    one, other = new_token(), new_token()
    assert leave(ledger, [first], one) == ({first}, set(), set())
    # its commit may have gone through without an answer
    assert leave(ledger, [first, second], one) == ({first, second}, set(), set())
    assert leave(ledger, [first, second], other) == (set(), set(), {first, second})


def test_one_that_has_ended_is_gone_and_one_of_a_run_that_was_taken_over_is_neither(ledger):
    started(ledger, 2)
    first, second = take(ledger, [10, 10]).held
    settle(ledger, succeeded(first, 5))
    assert leave(ledger, [first.attempt_id], new_token()) == (set(), set(), {first.attempt_id})
    abandon(ledger, "run-1")
    assert runs.close_dead_runs(ledger) == ["run-1"]
    assert leave(ledger, [second.attempt_id], new_token()) == (set(), set(), set())


def test_an_attempt_that_today_has_no_room_for_is_not_marked(ledger):
    [attempt] = held(ledger, 1)
    with ledger.write() as connection:
        another_day = DayCaps("2000-01-01", lambda _: caps("run-1", day=0, date="2000-01-01"))
        found = record_leaving(connection, KEY, [attempt], another_day, new_token())
    assert found == (set(), {attempt}, set())
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


def test_only_open_attempts_that_have_not_left_are_to_be_sent_with_all_that_the_admission_had(ledger):
    started(ledger, 4)
    whole = take(ledger, [10, 20, 30, 40]).held
    ids = [one.attempt_id for one in whole]
    leave(ledger, ids[:1], new_token())
    settle(ledger, failed(whole[1]))
    left = holds.with_payloads(ledger, KEY.run_id, whole[2:])
    assert deliveries.unsent(ledger, KEY, ids) == left
    assert deliveries.unsent(ledger, KEY, list(reversed(ids))) == left[::-1]


def test_what_lost_workers_left_ends_as_after_a_crash_and_only_that(ledger):
    started(ledger, 4)
    whole = take(ledger, [10, 20, 30, 40]).held
    ids = [one.attempt_id for one in whole]
    leave(ledger, ids[:2], new_token())
    settle(ledger, succeeded(whole[0], 5))
    assert deliveries.still_out(ledger, ids) == 1
    assert deliveries.end_left(ledger, KEY, ids[:3]) == 2
    assert deliveries.end_left(ledger, KEY, ids[:3]) == 0
    with ledger.read() as connection:
        rows = connection.execute(select(AttemptRow.attempt_id, AttemptRow.state, AttemptRow.held_nano_usd))
        states = {row.attempt_id: (row.state, row.held_nano_usd) for row in rows}
    ends = [("succeeded", 0), ("unknown", 20), ("failed", 0), ("open", 40)]
    assert [states[one] for one in ids] == ends
    assert budgets(ledger)["run"] == (60, 5)
    assert outcomes(ledger) == [
        ("succeeded", None),
        ("unknown", "unknown_outcome"),
        ("deferred", "interrupted"),
        (None, None),
    ]
    # the answer comes after all
    settle(ledger, succeeded(whole[1], 7))
    assert budgets(ledger)["run"] == (40, 12)


def test_what_was_left_is_ended_by_the_owner_only(ledger):
    ids = held(ledger, 1)
    abandon(ledger, "run-1")
    other = KEY._replace(owner="another")
    with pytest.raises(NotOwner):
        deliveries.end_left(ledger, other, ids)


def test_workers_see_why_their_run_sends_no_more_and_the_first_reason_stays(ledger):
    started(ledger)
    assert deliveries.why_halted(ledger, KEY) is None
    deliveries.halt(ledger, KEY._replace(owner="another"), Reason.INTERRUPTED)
    assert deliveries.why_halted(ledger, KEY) is None
    deliveries.halt(ledger, KEY, Reason.ACCESS_DENIED)
    deliveries.halt(ledger, KEY, Reason.INTERRUPTED)
    assert deliveries.why_halted(ledger, KEY) is Reason.ACCESS_DENIED


@pytest.mark.parametrize("change", [{"owner": "another"}, {"ended_at": "now"}])
def test_a_run_of_another_owner_or_one_that_has_ended_is_none_of_their_business(ledger, change):
    started(ledger)
    with ledger.write() as connection:
        values = {name: RunRow.started_at if value == "now" else value for name, value in change.items()}
        connection.execute(update(RunRow).values(**values))
    assert deliveries.why_halted(ledger, KEY) is Reason.TAKEN_OVER


def test_the_models_that_jobs_are_pinned_to_are_known(ledger):
    begin(ledger, "run-1")
    pinned = [replace(job(row), model=model) for row, model in enumerate(["b", None, "a", "b"])]
    jobs.add(ledger, "run-1", pinned, [])
    assert deliveries.pins(ledger, "run-1") == ["a", "b"]
