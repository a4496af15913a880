"""Batches on record, on SQLite and PostgreSQL; promises 1 and 3 when threads and processes work on the same jobs."""

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from schemas.batch import BatchPlace
from schemas.budget import DayCaps
from schemas.ledger import AttemptRow, BatchRow, BudgetRow, JobRow, RunRow
from schemas.outcome import AttemptState, BatchState, Outcome, Reason
from schemas.run import RunKey
from services.ledger import batch_attempts, batches, jobs, open_ledger, runs
from services.ledger.settle import settle
from services.ledger.store import LedgerUnavailable, NotOwner
from services.ledger.windows import NoRoomToday
from tests.processes import SECONDS, other_processes
from tests.strategies import (
    abandon,
    begin,
    caps,
    end_early,
    job,
    key_of,
    packed,
    settlement,
    take,
    write_down,
)

EXPIRES = datetime(2026, 11, 24, tzinfo=UTC)
CAP = 400
HERE = BatchPlace("http://x", "wrkspc_a")
NO_CAPS = DayCaps("2026-11-22", lambda _: ())


def all_of(ledger, *columns):
    with ledger.read() as connection:
        return connection.execute(select(*columns)).all()


def attempts(ledger):
    return {row.attempt_id: row for row in all_of(ledger, *AttemptRow.__table__.columns)}


def rows_of(ledger, run_id):
    return {row.row_number: row for row in all_of(ledger, *JobRow.__table__.columns) if row.run_id == run_id}


def batch_row(ledger, batch_id):
    return next(row for row in all_of(ledger, *BatchRow.__table__.columns) if row.batch_id == batch_id)


def day(ledger):
    """(held, settled) of all days."""
    days = [row for row in all_of(ledger, *BudgetRow.__table__.columns) if row.scope == "day"]
    return sum(row.held_nano_usd for row in days), sum(row.settled_nano_usd for row in days)


def waiting(ledger, count, run_id="run-1"):
    """A run with jobs in its queue."""
    begin(ledger, run_id)
    jobs.add(ledger, run_id, [job(number) for number in range(count)], [])


def out_there(ledger, count=3, run_id="run-1"):
    """A run with all its jobs in one prepared batch: the batch, and the attempts."""
    waiting(ledger, count, run_id)
    held = take(ledger, [10] * count, run_id).held
    return packed(ledger, [one.attempt_id for one in held], run_id, request_bytes=1_000, place=HERE), held


def end(attempt, state=AttemptState.SUCCEEDED, outcome=Outcome.SUCCEEDED, cost=4):
    paid = state == AttemptState.SUCCEEDED
    return settlement(
        attempt.attempt_id, state, outcome, cost=cost if paid else None, response="{}" if paid else None
    )


def released(attempt):
    return end(attempt, AttemptState.FAILED, None)


def test_a_prepared_batch_and_its_attempts_are_on_record_as_about_to_leave(ledger):
    batch, held = out_there(ledger, 2)
    row = batch_row(ledger, batch.batch_id)
    assert (row.state, row.requests, row.request_bytes, row.provider_batch_id) == ("prepared", 2, 1_000, None)
    for attempt in held:
        on_record = attempts(ledger)[attempt.attempt_id]
        assert on_record.batch_id == batch.batch_id
        assert on_record.sent_at == row.prepared_at == batch.prepared_at
    assert day(ledger) == (20, 0)
    assert batches.open_batch(ledger, batch.batch_id) == batch


@pytest.mark.parametrize("provider_id", ["msgbatch_" + "x" * 1_000, "msgbatch_\0\ud800"])
@pytest.mark.parametrize("was_given_up", [False, True])
def test_a_batch_that_was_made_is_put_on_record_whatever_its_id_is(ledger, provider_id, was_given_up):
    batch, _ = out_there(ledger, 1)
    if was_given_up:
        batches.absent(ledger, batch.batch_id, "given up", [])
        batches.made_after_all(ledger, batch.batch_id, provider_id, None)
    assert batches.submitted(ledger, batch.batch_id, provider_id, None)
    row = batch_row(ledger, batch.batch_id)
    assert (row.state, len(row.provider_batch_id)) == ("submitted", len(provider_id))


def test_a_batch_with_an_attempt_that_has_ended_is_not_made(ledger):
    waiting(ledger, 2)
    gone, there = take(ledger, [10, 10]).held
    write_down(ledger, (), [end(gone)])
    with pytest.raises(NotOwner):
        packed(ledger, [gone.attempt_id, there.attempt_id])
    assert {row.batch_id for row in attempts(ledger).values()} == {None}
    assert all_of(ledger, BatchRow.batch_id) == []


def test_only_the_owner_of_a_run_puts_a_batch_on_record(ledger):
    waiting(ledger, 1)
    [held] = take(ledger, [10]).held
    with pytest.raises(NotOwner):
        batches.prepare(
            ledger,
            RunKey("run-1", "somebody else's token"),
            batches.new_batch("run-1", 1, HERE),
            [held.attempt_id],
            5,
            NO_CAPS,
        )
    assert attempts(ledger)[held.attempt_id].sent_at is None


async def test_a_batch_whose_commit_brought_no_answer_is_put_on_record_again_and_no_other_with_its_attempts(
    ledger,
):
    waiting(ledger, 2)
    ids = [one.attempt_id for one in take(ledger, [10, 10]).held]
    batch, lost = batches.new_batch("run-1", 2, HERE), []

    def prepare(*args):
        batches.prepare(*args)
        if not lost:
            lost.append(args)
            raise LedgerUnavailable("the connection was lost after the commit.")

    await ledger.off_loop(prepare, key_of("run-1"), batch, ids, 5, NO_CAPS)
    assert lost
    assert [row.batch_id for row in all_of(ledger, BatchRow.batch_id)] == [batch.batch_id]
    assert {row.batch_id for row in attempts(ledger).values()} == {batch.batch_id}
    with pytest.raises(NotOwner):
        packed(ledger, ids)


def test_a_batch_leaves_on_todays_money_or_not_at_all(ledger):
    waiting(ledger, 3)
    held = take(ledger, [10, 10, 10]).held
    ids = [one.attempt_id for one in held]

    def tomorrow(cap):
        return DayCaps("2026-11-23", lambda groups: caps("run-1", day=cap, date="2026-11-23"))

    with pytest.raises(NoRoomToday) as refused:
        packed(ledger, ids, today=tomorrow(25))
    [staying] = refused.value.staying
    assert all_of(ledger, BatchRow.batch_id) == []
    assert {row.budget_day for row in attempts(ledger).values()} == {"2026-11-22"}
    rest = [one for one in ids if one != staying]
    batch = packed(ledger, rest, today=tomorrow(25))
    assert batch.requests == 2
    days = {name: attempts(ledger)[name].budget_day for name in ids}
    assert days == dict.fromkeys(rest, "2026-11-23") | {staying: "2026-11-22"}
    held_by_day = {
        row.period: row.held_nano_usd
        for row in all_of(ledger, *BudgetRow.__table__.columns)
        if row.scope == "day"
    }
    assert held_by_day == {"2026-11-22": 10, "2026-11-23": 20}


def test_the_providers_id_is_taken_down_once_and_never_changed(ledger):
    batch, _ = out_there(ledger)
    batches.submitted(ledger, batch.batch_id, "msgbatch_1", EXPIRES)
    batches.submitted(ledger, batch.batch_id, "msgbatch_2", None)
    row = batch_row(ledger, batch.batch_id)
    assert (row.state, row.provider_batch_id, row.expires_at) == ("submitted", "msgbatch_1", EXPIRES)
    assert batches.open_batch(ledger, batch.batch_id).provider_batch_id == "msgbatch_1"
    assert batches.made_by(ledger, "run-1") == 1
    assert batches.accounted_for(ledger, ["msgbatch_1", "msgbatch_2"]) == {"msgbatch_1"}
    assert batches.accounted_for(ledger, []) == set()


def test_an_absent_batch_gives_its_money_back_and_its_jobs_to_the_queue(ledger):
    batch, held = out_there(ledger)
    batches.absent(ledger, batch.batch_id, "never made", [released(one) for one in held])
    row = batch_row(ledger, batch.batch_id)
    assert (row.state, row.detail) == (BatchState.ABSENT, "never made")
    assert batches.open_batch(ledger, batch.batch_id) is None
    assert day(ledger) == (0, 0)
    assert len(jobs.next_in_queue(ledger, "run-1", 9)) == 3
    # found after all: too late, it stays as it is, and so a second one of that id cannot be on record
    batches.submitted(ledger, batch.batch_id, "msgbatch_1", None)
    assert batch_row(ledger, batch.batch_id).state == "absent"
    assert len(take(ledger, [10] * 3).held) == 3


def test_a_batch_that_got_its_id_meanwhile_is_not_absent(ledger):
    batch, held = out_there(ledger)
    batches.submitted(ledger, batch.batch_id, "msgbatch_1", None)
    batches.absent(ledger, batch.batch_id, "never made", [released(one) for one in held])
    assert batch_row(ledger, batch.batch_id).state == "submitted"
    assert {row.state for row in attempts(ledger).values()} == {"open"}
    assert day(ledger) == (30, 0)
    assert jobs.next_in_queue(ledger, "run-1", 9) == []


def test_finding_a_batch_and_showing_it_absent_at_once_end_as_one_of_the_two(ledger):
    batch, held = out_there(ledger)
    with ThreadPoolExecutor(2) as pool:
        for done in [
            pool.submit(batches.submitted, ledger, batch.batch_id, "msgbatch_1", None),
            pool.submit(batches.absent, ledger, batch.batch_id, "x", [released(one) for one in held]),
        ]:
            done.result()
    state = batch_row(ledger, batch.batch_id).state
    states = {row.state for row in attempts(ledger).values()}
    assert (state, states, day(ledger)[0]) in [("submitted", {"open"}, 30), ("absent", {"failed"}, 0)]


def test_an_ended_batch_needs_nothing_more(ledger):
    batch, held = out_there(ledger)
    batches.submitted(ledger, batch.batch_id, "msgbatch_1", None)
    write_down(ledger, (), [end(one) for one in held[:2]])
    assert [row.attempt_id for row in batch_attempts.attempts_of(ledger, batch.batch_id)] == [
        held[2].attempt_id
    ]
    assert batches.open_of_run(ledger, "run-1") == [batches.open_batch(ledger, batch.batch_id)]
    write_down(ledger, (), [end(one) for one in held])
    batches.ended(ledger, batch.batch_id, {"succeeded": 3})
    row = batch_row(ledger, batch.batch_id)
    assert (row.state, row.request_counts) == ("ended", {"succeeded": 3})
    assert batches.open_batch(ledger, batch.batch_id) is None
    assert batches.open_of_run(ledger, "run-1") == []
    assert day(ledger) == (0, 12)


def test_closing_the_books_leaves_what_is_with_the_provider_and_releases_what_never_left(ledger):
    waiting(ledger, 5)
    sent = take(ledger, [10] * 2).held
    batch = packed(ledger, [one.attempt_id for one in sent])
    kept = take(ledger, [10] * 2).held
    assert end_early(ledger, "run-1") == 1
    now = attempts(ledger)
    assert [now[one.attempt_id].state for one in sent] == ["open", "open"]
    assert [now[one.attempt_id].state for one in kept] == ["failed", "failed"]
    assert day(ledger) == (20, 0)
    ends = [row.outcome for _, row in sorted(rows_of(ledger, "run-1").items())]
    assert ends == [None, None, "deferred", "deferred", "deferred"]
    assert [row.ended_at for row in all_of(ledger, *RunRow.__table__.columns)] == [None]
    # later its results come
    write_down(ledger, (), [end(one) for one in sent])
    batches.ended(ledger, batch.batch_id, {})
    assert [row.outcome for row in rows_of(ledger, "run-1").values()].count("succeeded") == 2
    assert day(ledger) == (0, 8)


def test_a_run_that_leaves_no_batch_behind_ends_with_its_books(ledger):
    waiting(ledger, 2)
    take(ledger, [10, 10])
    assert end_early(ledger, "run-1") == 0
    [run] = all_of(ledger, *RunRow.__table__.columns)
    assert (run.outcome, bool(run.ended_at)) == ("failed", True)
    assert day(ledger) == (0, 0)


def test_a_job_in_a_batch_of_another_run_is_waited_for_and_takes_no_money(ledger):
    batch, held = out_there(ledger)
    waiting(ledger, 4, "run-2")
    admission = take(ledger, [10] * 4, "run-2", run=10, day=40)
    assert (admission.joined, len(admission.held), admission.deferred) == (3, 1, 0)
    joined = {row.attempt_id for row in rows_of(ledger, "run-2").values() if row.row_number < 3}
    assert joined == {one.attempt_id for one in held}
    assert day(ledger) == (40, 0)
    assert [found.batch_id for found in batches.open_of_run(ledger, "run-2")] == [batch.batch_id]
    assert jobs.next_in_queue(ledger, "run-2", 9) == []


def test_a_job_held_elsewhere_and_not_in_a_batch_yet_is_left_for_the_next_run(ledger):
    waiting(ledger, 2)
    take(ledger, [10, 10])
    waiting(ledger, 2, "run-2")
    admission = take(ledger, [10, 10], "run-2")
    assert (admission.joined, admission.held, admission.deferred) == (0, [], 2)
    assert {row.reason for row in rows_of(ledger, "run-2").values()} == {Reason.IN_FLIGHT_ELSEWHERE}


def test_the_end_of_an_attempt_is_the_end_of_every_row_that_waits_for_it(ledger):
    _, held = out_there(ledger)
    for run_id in ("run-2", "run-3"):
        waiting(ledger, 3, run_id)
        assert take(ledger, [10] * 3, run_id).joined == 3
    write_down(
        ledger,
        (),
        [
            end(held[0]),
            end(held[1], AttemptState.FAILED, Outcome.DEFERRED),
            released(held[2]),
        ],
    )
    for run_id in ("run-1", "run-2", "run-3"):
        rows = rows_of(ledger, run_id)
        assert [rows[number].outcome for number in range(3)] == ["succeeded", "deferred", None]
        assert rows[0].attempt_id == held[0].attempt_id
        assert [queued.row_number for queued in jobs.next_in_queue(ledger, run_id, 9)] == [2]
    assert day(ledger) == (0, 4)
    # whoever comes first sends it again, alone
    assert len(take(ledger, [10], "run-2").held) == 1
    assert take(ledger, [10], "run-3").deferred == 1


@pytest.mark.parametrize("how", [end, released], ids=["succeeded", "back into the queue"])
def test_a_row_that_joins_while_the_attempt_is_being_settled_still_gets_its_end(ledger, how):
    _, held = out_there(ledger, 1)
    waiting(ledger, 1, "run-2")
    with ThreadPoolExecutor(1) as pool:
        with ledger.write() as connection:
            settle(connection, [how(held[0])])
            joining = pool.submit(take, ledger, [10], "run-2", date="2026-11-23")
            wait([joining], timeout=1)  # it may have to wait until this settlement is on record
        joining.result(SECONDS)
    row = rows_of(ledger, "run-2")[0]
    state = attempts(ledger)[row.attempt_id].state if row.attempt_id else None
    assert (row.outcome, state) in [("succeeded", "succeeded"), (None, None), (None, "open")]
    assert row.outcome or row.attempt_id != held[0].attempt_id


def taken_over(ledger):
    return [run.run_id for run in runs.left_unended(ledger) if runs.take_over(ledger, run)]


def test_a_dead_run_goes_to_one_taker_only(ledger):
    for number in range(4):
        waiting(ledger, 1, f"run-{number}")
        abandon(ledger, f"run-{number}")
    with ThreadPoolExecutor(8) as pool:
        taken = [run_id for found in pool.map(taken_over, [ledger] * 8) for run_id in found]
    assert sorted(taken) == [f"run-{number}" for number in range(4)]
    assert taken_over(ledger) == []
    abandon(ledger, "run-2")
    assert taken_over(ledger) == ["run-2"]


def test_a_live_run_and_an_ended_one_are_taken_over_by_nobody(ledger):
    waiting(ledger, 1, "run-1")
    waiting(ledger, 1, "run-2")
    abandon(ledger, "run-2")
    assert end_early(ledger, "run-2") == 0
    assert taken_over(ledger) == []


def taken_by_another_process(url, gate, found):
    ledger = open_ledger(url)
    gate.wait()
    found.put(taken_over(ledger))
    gate.wait()  # it stays alive until all have looked
    ledger.close()


@pytest.mark.slow
def test_a_dead_run_goes_to_one_process_only(ledger, ledger_url):
    for number in range(3):
        waiting(ledger, 1, f"run-{number}")
        abandon(ledger, f"run-{number}")
    context = other_processes()
    gate, found = context.Barrier(3), context.Queue()
    takers = [
        context.Process(target=taken_by_another_process, args=(ledger_url, gate, found)) for _ in range(3)
    ]
    for taker in takers:
        taker.start()
    taken = [run_id for _ in takers for run_id in found.get(timeout=SECONDS)]
    for taker in takers:
        taker.join(SECONDS)
    assert sorted(taken) == ["run-0", "run-1", "run-2"]


JOBS, WORKERS = 24, 4


def work(ledger, number):
    """One run over the jobs that all runs share: take, prepare, settle, until every row has its end."""
    run_id, rng = f"run-{number}", random.Random(number)
    undecided = select(func.count()).where(JobRow.run_id == run_id, JobRow.outcome.is_(None))
    deadline = (
        time.monotonic() + SECONDS
    )  # a row that never gets its end is told by the assertions afterwards
    while time.monotonic() < deadline:
        admission = take(ledger, [20] * rng.randint(1, 6), run_id, day=CAP)
        if admission.held:
            ids = [one.attempt_id for one in admission.held]
            batch = packed(ledger, ids, run_id)
            if rng.random() < 0.2:
                batches.absent(ledger, batch.batch_id, "x", [released(one) for one in admission.held])
                continue
            batches.submitted(ledger, batch.batch_id, f"provider-{batch.batch_id}", None)
            ends = [
                end(one, cost=rng.randint(1, 20)) if rng.random() < 0.7 else released(one)
                for one in admission.held
            ]
            rng.shuffle(ends)
            # others read the same results: some of them twice, some half
            write_down(ledger, (), ends[: len(ends) // 2])
            write_down(ledger, (), ends)
            batches.ended(ledger, batch.batch_id, {})
        elif not admission.joined:
            with ledger.read() as connection:
                if not connection.scalar(undecided):
                    return
            time.sleep(0.005)  # a row of its own is in another worker's batch


def worker(url, number):
    ledger = open_ledger(url)
    work(ledger, number)
    ledger.close()


def sampled(ledger, working):
    """What the ledger says of promises 1 and 3 while others work; how often it was asked."""
    samples = 0
    live = (
        select(AttemptRow.job_id)
        .where(AttemptRow.state.in_(["open", "succeeded"]))
        .group_by(AttemptRow.job_id, AttemptRow.fingerprint)
        .having(func.count() > 1)
    )
    over = select(BudgetRow).where(
        BudgetRow.scope == "day", BudgetRow.held_nano_usd + BudgetRow.settled_nano_usd > CAP
    )
    while working():
        samples += 1
        for query in (live, over):
            with ledger.read() as connection:
                assert connection.execute(query).all() == []
    return samples


def shared_jobs(ledger):
    for number in range(WORKERS):
        waiting(ledger, JOBS, f"run-{number}")


def assert_promises_are_kept(ledger):
    """Promises 1 to 3 at the end."""
    on_record = attempts(ledger).values()
    assert {row.state for row in on_record} <= {"succeeded", "failed"}
    paid = Counter((row.job_id, row.fingerprint) for row in on_record if row.state == "succeeded")
    assert set(paid.values()) == {1}
    for window in all_of(ledger, *BudgetRow.__table__.columns):
        own = [
            row
            for row in on_record
            if window.period in (row.run_id, row.budget_day, row.budget_day[:7], row.deadline)
        ]
        assert window.held_nano_usd == sum(row.held_nano_usd for row in own) == 0
        assert window.settled_nano_usd == sum(row.actual_nano_usd or 0 for row in own)
    held, settled = day(ledger)
    assert held + settled <= CAP
    assert settled == sum(row.actual_nano_usd or 0 for row in on_record)
    for number in range(WORKERS):
        rows = rows_of(ledger, f"run-{number}")
        assert len(rows) == JOBS
        for row in rows.values():
            assert row.outcome in ("succeeded", "deferred")
            if row.outcome == "succeeded":
                assert attempts_state(on_record, row.attempt_id) == "succeeded"


def attempts_state(on_record, attempt_id):
    return next(row.state for row in on_record if row.attempt_id == attempt_id)


def test_threads_over_the_same_jobs_pay_nothing_twice_and_stay_under_the_cap(ledger):
    shared_jobs(ledger)
    with ThreadPoolExecutor(WORKERS) as pool:
        working = [pool.submit(work, ledger, number) for number in range(WORKERS)]
        assert sampled(ledger, lambda: not all(one.done() for one in working))
        for one in working:
            one.result()
    assert_promises_are_kept(ledger)


def test_processes_over_the_same_jobs_pay_nothing_twice_and_stay_under_the_cap(ledger, ledger_url):
    shared_jobs(ledger)
    context = other_processes()
    workers = [context.Process(target=worker, args=(ledger_url, number)) for number in range(WORKERS)]
    for one in workers:
        one.start()
    try:
        assert sampled(ledger, lambda: any(one.is_alive() for one in workers))
    finally:
        for one in workers:
            one.join(SECONDS)
    assert [one.exitcode for one in workers] == [0] * WORKERS
    assert_promises_are_kept(ledger)
