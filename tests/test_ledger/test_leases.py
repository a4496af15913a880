"""Ownership: a guess about who is alive may cost time, never money."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from schemas.budget import DayCaps
from schemas.ledger import AttemptRow, RunRow
from schemas.run import RunKey
from schemas.settings import Settings
from services.ledger import holds, leases, reviews, runs
from services.ledger.journal import Journal
from services.ledger.settle import settle as settle_in
from services.ledger.store import NotOwner
from tests.ledgers import budgets, outcomes, started, succeeded
from tests.strategies import abandon, begin, key_of, take, write_down

NO_CAPS = DayCaps("2026-11-22", lambda _: ())


def change(ledger, **values):
    with ledger.write() as connection:
        connection.execute(update(RunRow).values(**values))


def attempts(ledger):
    with ledger.read() as connection:
        return connection.execute(select(AttemptRow.__table__)).all()


async def test_a_run_that_was_taken_for_dead_lets_no_byte_leave_and_takes_no_money(ledger):
    started(ledger, 2)
    [held] = take(ledger, [10], may_defer=False).held
    abandon(ledger, "run-1")
    assert runs.close_dead_runs(ledger) == ["run-1"]
    with pytest.raises(NotOwner):
        await Journal(ledger, key_of("run-1"), lambda: NO_CAPS).leaving(held.attempt_id)
    with pytest.raises(NotOwner):
        holds.take(ledger, key_of("run-1"), [], [], may_defer=True, resend_unknown=False)
    assert [row.sent_at for row in attempts(ledger)] == [None]
    assert budgets(ledger) == {"run": (0, 0), "day": (0, 0)}
    assert not leases.renew(ledger, key_of("run-1"))


def test_what_another_machine_works_on_is_alive_as_long_as_its_lease_whatever_its_clock_says(ledger):
    begin(ledger, "run-1")
    past, future = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    for beat in (past, future):
        change(ledger, host="elsewhere", pid_namespace="pid:[1]", pid=1, heartbeat_at=beat, started_at=beat)
        assert runs.close_dead_runs(ledger) == []
    abandon(ledger, "run-1")
    assert runs.close_dead_runs(ledger) == ["run-1"]


def test_a_lease_that_is_renewed_holds_by_the_clock_of_the_database(ledger):
    begin(ledger, "run-1")
    abandon(ledger, "run-1")
    assert leases.renew(ledger, key_of("run-1"))
    assert runs.close_dead_runs(ledger) == []
    assert not leases.renew(ledger, RunKey("run-1", "another token"))


def test_an_answer_that_comes_after_its_attempt_was_closed_is_booked_and_counts(ledger):
    started(ledger, 2)
    never_left, left = take(ledger, [10, 10]).held
    write_down(ledger, [left.attempt_id], [])
    abandon(ledger, "run-1")
    runs.close_dead_runs(ledger)
    assert sorted(row.state for row in attempts(ledger)) == ["failed", "unknown"]
    with ledger.write() as connection:
        late = settle_in(connection, [succeeded(never_left, 4), succeeded(left, 6)])
    assert late == [never_left.attempt_id]
    assert {row.state for row in attempts(ledger)} == {"succeeded"}
    assert budgets(ledger) == {"run": (0, 10), "day": (0, 10)}
    assert {outcome for outcome, _ in outcomes(ledger)} == {"succeeded"}


@pytest.mark.parametrize("billed", [None, 2, 6, 9])
def test_an_answer_that_comes_after_a_person_booked_its_attempt_is_booked_in_place_of_that(ledger, billed):
    started(ledger)
    [left] = take(ledger, [10]).held
    write_down(ledger, [left.attempt_id], [])
    abandon(ledger, "run-1")
    runs.close_dead_runs(ledger)
    reviews.reject(ledger, [review.id for review in reviews.listed(ledger)], "ana")
    reviews.book_attempt(ledger, left.attempt_id, "ana", billed)
    assert budgets(ledger) == {"run": (0, billed or 0), "day": (0, billed or 0)}
    for _ in range(2):
        write_down(ledger, [], [succeeded(left, 6)])
        assert budgets(ledger) == {"run": (0, 6), "day": (0, 6)}
    assert [row.state for row in attempts(ledger)] == ["succeeded"]
    assert {outcome for outcome, _ in outcomes(ledger)} == {"succeeded"}


def test_an_answer_that_comes_after_its_job_was_sent_again_is_booked_and_does_not_count(ledger):
    started(ledger)
    [first] = take(ledger, [10]).held
    abandon(ledger, "run-1")
    runs.close_dead_runs(ledger)
    started(ledger, run_id="run-2")
    [second] = take(ledger, [10], "run-2").held
    write_down(ledger, [second.attempt_id], [succeeded(second, 5), succeeded(first, 4)])
    by_run = {row.run_id: (row.state, row.actual_nano_usd) for row in attempts(ledger)}
    assert by_run == {"run-1": ("failed", 4), "run-2": ("succeeded", 5)}


@pytest.mark.parametrize("is_answered", [False, True])
def test_an_answer_to_what_was_in_doubt_is_booked_also_when_its_job_was_sent_again(ledger, is_answered):
    started(ledger, 2)
    first, other = take(ledger, [10, 10]).held
    write_down(ledger, [first.attempt_id, other.attempt_id], [])
    abandon(ledger, "run-1")
    runs.close_dead_runs(ledger)
    started(ledger, run_id="run-2")
    [second] = take(ledger, [10], "run-2", resend_unknown=True).held
    answer = [succeeded(second, 5)]
    write_down(ledger, [second.attempt_id], answer if is_answered else [])
    # one transaction, which the first answer must not take along
    write_down(ledger, [], [succeeded(first, 4), succeeded(other, 3)])
    write_down(ledger, [], [] if is_answered else answer)
    found = {row.attempt_id: (row.state, row.actual_nano_usd, row.held_nano_usd) for row in attempts(ledger)}
    assert found == {
        first.attempt_id: ("failed", 4, 0),
        other.attempt_id: ("succeeded", 3, 0),
        second.attempt_id: ("succeeded", 5, 0),
    }
    assert budgets(ledger)["day"] == (0, 12)
    assert [outcome for outcome, _ in outcomes(ledger)] == ["failed", "succeeded"]
    assert [outcome for outcome, _ in outcomes(ledger, "run-2")] == ["succeeded"]


def test_the_length_of_a_lease_is_read_once_in_a_process(monkeypatch):
    leases.lease_seconds.cache_clear()
    monkeypatch.setenv("WEIGHBRIDGE_LEASE_SECONDS", "77")
    assert leases.lease_seconds() == 77
    monkeypatch.setattr(leases, "Settings", lambda: pytest.fail("read again"))
    assert leases.lease_seconds() == 77
    leases.lease_seconds.cache_clear()
    monkeypatch.undo()
    assert leases.lease_seconds() == Settings().lease_seconds
