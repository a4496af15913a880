"""Promise 1: at every instant, for every window, settled + held is at most its cap. Promise 3 beside it: no job is
open or done twice."""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import func, select

from schemas.ledger import AttemptRow, BudgetRow, JobRow
from schemas.outcome import AttemptState, Outcome, Reason
from services.ledger import jobs, runs
from services.ledger.settling import Settlement, write_down
from tests.strategies import begin, job, quick_ledger, take

DAYS = ["2026-11-22", "2026-11-23"]
costs = st.integers(1, 100)


def budget_rows(ledger):
    with ledger.read() as connection:
        return {
            (row.scope, row.period): row for row in connection.execute(select(*BudgetRow.__table__.columns))
        }


def attempts(ledger):
    with ledger.read() as connection:
        return connection.execute(select(*AttemptRow.__table__.columns)).all()


class Nights(RuleBasedStateMachine):
    """Runs that share a ledger, take holds, settle, are interrupted, and come again with the same jobs."""

    @initialize(day_cap=st.none() | st.integers(0, 400), run_cap=st.none() | st.integers(0, 250))
    def open(self, day_cap, run_cap):
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = quick_ledger(f"sqlite:///{Path(self.folder.name) / 'ledger.db'}")
        self.day_cap, self.run_cap = day_cap, run_cap
        self.runs: list[str] = []
        self.open_attempts: list = []
        self.unknown: list = []
        self.paid: set[str] = set()
        self.held_of: dict[str, int] = {}

    @rule(priorities=st.lists(st.integers(-2, 2), min_size=1, max_size=6))
    @precondition(lambda self: len(self.runs) < 5)
    def new_run(self, priorities):
        run_id = f"run-{len(self.runs)}"
        begin(self.ledger, run_id)
        jobs.add(self.ledger, run_id, [job(n, priority=p) for n, p in enumerate(priorities)], [])
        self.runs.append(run_id)

    @rule(
        data=st.data(),
        worst_cases=st.lists(costs, min_size=1, max_size=6),
        may_defer=st.booleans(),
        resend_unknown=st.booleans(),
        date=st.sampled_from(DAYS),
    )
    @precondition(lambda self: self.runs)
    def take(self, data, worst_cases, may_defer, resend_unknown, date):
        run_id = data.draw(st.sampled_from(self.runs))
        admission = take(
            self.ledger,
            worst_cases,
            run_id,
            may_defer,
            resend_unknown,
            run=self.run_cap,
            day=self.day_cap,
            date=date,
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
        end = Settlement(attempt.attempt_id, AttemptState(kind), Outcome(kind), cost=cost)
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
            for window in (("run", row.run_id), ("day", row.budget_day)):
                held[window] += row.held_nano_usd
                settled[window] += row.actual_nano_usd or 0
        windows = budget_rows(self.ledger)
        assert set(held) <= set(windows)
        for window, row in windows.items():
            assert (row.held_nano_usd, row.settled_nano_usd) == (held[window], settled[window])
            cap = self.run_cap if window[0] == "run" else self.day_cap
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
                end = Settlement(one.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=15)
                write_down(ledger, [one.attempt_id], [end])

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    windows = budget_rows(ledger)
    day = windows["day", "2026-11-22"]
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
