"""Promise 1: at every instant, for every window, settled + held is at most its cap. Promise 3 beside it: no job is
open or done twice."""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from schemas.budget import windows_of
from schemas.ledger import AttemptRow, BudgetRow, JobRow
from schemas.outcome import AttemptState, Outcome, Reason
from schemas.run import RunKey
from services.ledger import holds, jobs, run_sums, runs, windows
from tests.strategies import begin, caps, job, owner_of, quick_ledger, settlement, take, weighed, write_down

DAYS = ["2026-11-22", "2026-11-23", "2026-12-01"]
GROUPS = [None, "ana", "ben"]
DEADLINES = [None, "2026-11-23T05:30:00Z", "2026-11-24T05:30:00Z"]
no_cap = st.none()
costs = st.integers(1, 100)


def budget_rows(ledger):
    with ledger.read() as connection:
        return {
            (row.scope, row.period, row.group_name): row
            for row in connection.execute(select(*BudgetRow.__table__.columns))
        }


def attempts(ledger):
    with ledger.read() as connection:
        return connection.execute(select(*AttemptRow.__table__.columns)).all()


class Nights(RuleBasedStateMachine):
    """Runs that share a ledger, take holds, settle, are interrupted, and come again with the same jobs."""

    @initialize(
        day_cap=no_cap | st.integers(0, 400),
        run_cap=no_cap | st.integers(0, 250),
        month_cap=no_cap | st.integers(0, 500),
        deadline_cap=st.integers(0, 200),
        group_caps=st.fixed_dictionaries({"ana": no_cap | st.integers(0, 150), "ben": no_cap}),
    )
    def open(self, day_cap, run_cap, month_cap, deadline_cap, group_caps):
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = quick_ledger(f"sqlite:///{Path(self.folder.name) / 'ledger.db'}")
        self.caps = {"day": day_cap, "run": run_cap, "month": month_cap, "deadline": deadline_cap}
        self.group_caps = group_caps
        self.runs: list[str] = []
        self.open_attempts: list = []
        self.unknown: list = []
        self.paid: set[str] = set()
        self.held_of: dict[str, int] = {}

    @rule(of=st.lists(st.tuples(st.integers(-2, 2), st.sampled_from(GROUPS)), min_size=1, max_size=6))
    @precondition(lambda self: len(self.runs) < 5)
    def new_run(self, of):
        run_id = f"run-{len(self.runs)}"
        begin(self.ledger, run_id)
        added = [job(n, priority=priority, group=group) for n, (priority, group) in enumerate(of)]
        jobs.add(self.ledger, run_id, added, [])
        self.runs.append(run_id)

    @rule(
        data=st.data(),
        worst_cases=st.lists(costs, min_size=1, max_size=6),
        may_defer=st.booleans(),
        resend_unknown=st.booleans(),
        date=st.sampled_from(DAYS),
        due=st.sampled_from(DEADLINES),
    )
    @precondition(lambda self: self.runs)
    def take(self, data, worst_cases, may_defer, resend_unknown, date, due):
        run_id = data.draw(st.sampled_from(self.runs))
        admission = take(
            self.ledger,
            worst_cases,
            run_id,
            may_defer,
            resend_unknown,
            date=date,
            due=due,
            **self.caps,
            **self.group_caps,
        )
        for attempt in admission.held:
            assert attempt.job_id not in self.paid
            assert attempt.job_id not in {one.job_id for one in self.open_attempts}
            assert resend_unknown or attempt.job_id not in {one.job_id for one in self.unknown}
        self.open_attempts += admission.held
        held = {row.attempt_id: row.held_nano_usd for row in attempts(self.ledger)}
        self.held_of |= {one.attempt_id: held[one.attempt_id] for one in admission.held}

    @rule(data=st.data(), kind=st.sampled_from(["succeeded", "failed", "unknown"]), leaves=st.booleans())
    @precondition(lambda self: self.open_attempts)
    def settle(self, data, kind, leaves):
        attempt = self.open_attempts.pop(data.draw(st.integers(0, len(self.open_attempts) - 1)))
        cost = data.draw(st.integers(0, self.held_of[attempt.attempt_id])) if kind == "succeeded" else None
        end = settlement(attempt.attempt_id, AttemptState(kind), Outcome(kind), cost=cost)
        leaving = [attempt.attempt_id] if leaves else []
        write_down(self.ledger, leaving, [end])
        write_down(self.ledger, leaving, [end])
        if kind == "succeeded":
            self.paid.add(attempt.job_id)
        if kind == "unknown":
            self.unknown.append(attempt)

    @rule(data=st.data())
    @precondition(lambda self: self.open_attempts)
    def leave(self, data):
        attempt = data.draw(st.sampled_from(self.open_attempts))
        write_down(self.ledger, [attempt.attempt_id], [])

    @rule(data=st.data(), date=st.sampled_from(DAYS))
    @precondition(lambda self: self.open_attempts)
    def leave_on_another_day(self, data, date):
        leaving = data.draw(st.lists(st.sampled_from(self.open_attempts), min_size=1, unique_by=id))
        ids = [attempt.attempt_id for attempt in leaving]
        before = {row.attempt_id: row for row in attempts(self.ledger)}
        cap = caps(self.runs[0], **self.caps, date=date, **self.group_caps)
        with self.ledger.write() as connection:
            staying = windows.move_day(connection, ids, date, cap)
        assert set(staying) <= set(ids)
        for row in attempts(self.ledger):
            was = before[row.attempt_id]
            moves = row.attempt_id in set(ids) - set(staying)
            assert row.budget_day == (date if moves else was.budget_day)
            assert row.held_nano_usd == was.held_nano_usd

    @rule(data=st.data(), review_unknown=st.booleans())
    @precondition(lambda self: self.runs)
    def interrupt(self, data, review_unknown):
        run_id = data.draw(st.sampled_from(self.runs))
        with self.ledger.write() as connection:
            runs.close_books(connection, run_id, review_unknown=review_unknown)
        now = {row.attempt_id: row for row in attempts(self.ledger)}
        for attempt in list(self.open_attempts):
            row = now[attempt.attempt_id]
            if row.run_id == run_id:
                self.open_attempts.remove(attempt)
                assert row.state == ("unknown" if row.sent_at else "failed")
                if row.state == "unknown":
                    self.unknown.append(attempt)
        with self.ledger.read() as connection:
            undecided = select(func.count()).where(JobRow.run_id == run_id, JobRow.outcome.is_(None))
            assert connection.scalar(undecided) == 0

    @invariant()
    def nothing_is_over_its_cap_and_the_sums_are_the_attempts(self):
        if not hasattr(self, "ledger"):
            return
        held: Counter = Counter()
        settled: Counter = Counter()
        for row in attempts(self.ledger):
            assert row.held_nano_usd >= 0
            assert (row.held_nano_usd > 0) == (row.state in ("open", "unknown"))
            for window in windows_of(row.run_id, row.budget_day, row.group_name, deadline=row.deadline):
                held[window] += row.held_nano_usd
                settled[window] += row.actual_nano_usd or 0
        on_record = budget_rows(self.ledger)
        assert set(held) <= set(on_record)
        for window, row in on_record.items():
            assert (row.held_nano_usd, row.settled_nano_usd) == (held[window], settled[window])
            scope, _, group = window
            cap = self.caps[scope] if not group else self.group_caps[group] if scope == "day" else None
            assert cap is None or row.held_nano_usd + row.settled_nano_usd <= cap

    @invariant()
    def no_job_is_open_or_done_twice(self):
        if hasattr(self, "ledger"):
            live = [row.job_id for row in attempts(self.ledger) if row.state in ("open", "succeeded")]
            assert len(live) == len(set(live))

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()


TestNights = Nights.TestCase
TestNights.settings = settings(max_examples=15, stateful_step_count=20)


def test_runs_that_take_money_at_once_never_pass_the_days_cap(ledger):
    """Eight runs, each with jobs of its own, want four times what the day has, and settle as they go."""
    cap, workers, each = 1_000, 8, 25
    for number in range(workers):
        begin(ledger, f"run-{number}")
        jobs.add(ledger, f"run-{number}", [job(row, f"{number}-{row}") for row in range(each)], [])

    def work(number):
        held = []
        for step in range(5):
            admission = take(ledger, [20] * 5, f"run-{number}", day=cap)
            held += admission.held
            with ledger.read() as connection:
                row = connection.execute(select(BudgetRow).where(BudgetRow.scope == "day")).one()
            assert row.held_nano_usd + row.settled_nano_usd <= cap
            if step % 2 and held:
                one = held.pop()
                end = settlement(one.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=15)
                write_down(ledger, [one.attempt_id], [end])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    day = budget_rows(ledger)["day", "2026-11-22", ""]
    rows = attempts(ledger)
    assert day.held_nano_usd == sum(row.held_nano_usd for row in rows)
    assert day.settled_nano_usd == sum(row.actual_nano_usd or 0 for row in rows)
    assert cap - 20 < day.held_nano_usd + day.settled_nano_usd <= cap
    with ledger.read() as connection:
        deferred = connection.scalar(select(func.count()).where(JobRow.reason == Reason.DAY_BUDGET))
        queued = connection.scalar(select(func.count()).where(*jobs.QUEUED))
    assert deferred + queued + len(rows) == workers * each


def test_the_same_job_in_two_runs_at_once_is_held_by_one_of_them(ledger):
    for number in range(4):
        begin(ledger, f"run-{number}")
        jobs.add(ledger, f"run-{number}", [job(row) for row in range(10)], [])

    def work(number):
        return len(take(ledger, [10] * 10, f"run-{number}").held)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(work, range(4))) == [0, 0, 0, 10]
    states = Counter(row.state for row in attempts(ledger))
    assert states == {"open": 10}


def grouped(ledger, *groups):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(n, group=group) for n, group in enumerate(groups)], [])


def held_rows(admission):
    return [attempt.row_number for attempt in admission.held]


def test_a_group_without_money_is_passed_over_and_the_others_go_on_in_order(ledger):
    grouped(ledger, "ana", "ana", None, "ben", "ana", "ben")
    first = take(ledger, [60, 60, 60, 60, 10, 60], may_defer=False, ana=100)
    assert (held_rows(first), first.short, first.short_groups) == ([0, 2, 3, 5], False, {"ana"})
    # the cheap job of the group does not overtake the dear one before it, and waits with it
    assert held_rows(take(ledger, [60], without=["ana"])) == []
    write_down(ledger, [], [_paid(first.held[0], 40)])
    assert held_rows(take(ledger, [60, 10], may_defer=False, ana=100)) == [1]
    deferred = take(ledger, [10], may_defer=True, ana=100)
    assert (deferred.held, deferred.deferred) == ([], 1)
    with ledger.read() as connection:
        row = connection.execute(select(JobRow.reason, JobRow.detail).where(JobRow.row_number == 4)).one()
    assert row.reason == Reason.GROUP_BUDGET
    assert "left of the day budget of the group ana" in row.detail


def _paid(attempt, cost):
    return settlement(attempt.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=cost)


def test_money_counts_under_the_windows_of_all_and_of_its_group(ledger):
    grouped(ledger, "ana", None)
    admission = take(ledger, [30, 50])
    write_down(ledger, [], [_paid(admission.held[0], 20)])
    month = {window[2]: row for window, row in budget_rows(ledger).items() if window[0] == "month"}
    assert {name: (row.held_nano_usd, row.settled_nano_usd) for name, row in month.items()} == {
        "": (50, 20),
        "ana": (0, 20),
    }


def test_a_reserve_is_never_held(ledger):
    grouped(ledger, None, None)
    queued = jobs.next_in_queue(ledger, "run-1", 2)
    reserved = [replace(cap, reserve=41) if cap.window.scope == "day" else cap for cap in caps(day=100)]
    asked = [weighed(one, 30) for one in queued]
    admission = holds.take(
        ledger, RunKey("run-1", owner_of("run-1")), asked, reserved, may_defer=False, resend_unknown=False
    )
    assert (held_rows(admission), admission.short) == ([0], True)


def move(ledger, held, day, cap):
    with ledger.write() as connection:
        return windows.move_day(connection, [attempt.attempt_id for attempt in held], day, cap)


def test_a_hold_that_leaves_after_midnight_counts_under_the_new_day_and_month(ledger):
    grouped(ledger, "ana", None)
    held = take(ledger, [30, 50], date="2026-11-30").held
    assert move(ledger, held, "2026-12-01", caps(date="2026-12-01", ana=30, day=80, month=80)) == []
    rows = {window: row.held_nano_usd for window, row in budget_rows(ledger).items()}
    assert {window: nano for window, nano in rows.items() if nano} == {
        ("run", "run-1", ""): 80,
        ("run", "run-1", "ana"): 30,
        ("day", "2026-12-01", ""): 80,
        ("day", "2026-12-01", "ana"): 30,
        ("month", "2026-12", ""): 80,
        ("month", "2026-12", "ana"): 30,
    }
    # its bill is settled there, and moving it again changes nothing
    assert move(ledger, held, "2026-12-01", caps(date="2026-12-01", ana=30, day=1)) == []
    write_down(ledger, [], [_paid(held[0], 20)])
    day = budget_rows(ledger)["day", "2026-12-01", "ana"]
    assert (day.held_nano_usd, day.settled_nano_usd) == (0, 20)


def test_what_finds_no_room_on_the_new_day_stays_and_must_not_leave(ledger):
    grouped(ledger, None, None, "ana")
    held = take(ledger, [30, 50, 10], date="2026-11-22").held
    tight = caps(date="2026-11-23", day=45, ana=9)
    first, dear, of_ana = (attempt.attempt_id for attempt in held)
    assert move(ledger, held, "2026-11-23", tight) == [dear, of_ana]
    days = {row.attempt_id: row.budget_day for row in attempts(ledger)}
    assert days == {first: "2026-11-23", dear: "2026-11-22", of_ana: "2026-11-22"}
    # nothing says how much the group may hold: it stays
    assert move(ledger, held[2:], "2026-11-23", caps(date="2026-11-23")) == [of_ana]
    assert move(ledger, [], "2026-11-23", tight) == []


def test_what_has_ended_is_not_moved(ledger):
    grouped(ledger, None)
    held = take(ledger, [30]).held
    write_down(ledger, [], [_paid(held[0], 20)])
    assert move(ledger, held, "2026-11-23", caps(date="2026-11-23")) == []
    assert [row.budget_day for row in attempts(ledger)] == ["2026-11-22"]


def test_a_bill_over_its_hold_closes_the_window_that_it_passed(ledger):
    grouped(ledger, None, None)
    held = take(ledger, [30], day=100).held
    write_down(ledger, [], [_paid(held[0], 130)])
    assert budget_rows(ledger)["day", "2026-11-22", ""].settled_nano_usd == 130
    taken = take(ledger, [1], day=100, may_defer=True)
    assert (taken.held, taken.deferred) == ([], 1)
    assert run_sums.over_holds(ledger, "run-1") == (1, 100)
    settled = run_sums.settled_in_windows(ledger, "run-1")
    assert settled == {
        ("run", "run-1", ""): 130,
        ("day", "2026-11-22", ""): 130,
        ("month", "2026-11", ""): 130,
    }
    assert run_sums.settled_in_windows(ledger, "run-of-nobody") == {}
