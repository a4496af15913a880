"""Holds at a percentile of the observed output: what the reserve promises, and what the worst case promises."""

import tempfile
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.attempt import WeighedJob
from schemas.ledger import AttemptRow, BudgetRow
from schemas.money import NanoUsd
from schemas.outcome import AttemptState, Outcome
from schemas.run import RunKey
from services.ledger import holds, jobs
from tests.strategies import (
    begin,
    caps,
    examples,
    job,
    owner_of,
    quick_ledger,
    settlement,
    weighed,
    write_down,
)

#: what is held, how much more the worst case is, and how much of that the answer exceeds its hold by
costs = st.tuples(st.integers(1, 60), st.integers(0, 80), st.integers(-60, 80))


def money(ledger):
    with ledger.read() as connection:
        return connection.execute(
            select(BudgetRow.scope, BudgetRow.held_nano_usd + BudgetRow.settled_nano_usd)
        ).all()


@settings(max_examples=examples(20))
@given(
    st.lists(costs, min_size=1, max_size=14),
    st.integers(0, 300),
    st.integers(0, 100),
    st.booleans(),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_the_cap_is_passed_only_by_more_than_the_reserve(wanted, cap, reserve, by_percentile, shard, random):
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        begin(ledger)
        jobs.add(ledger, "run-1", [job(n) for n in range(len(wanted))], [])
        if not by_percentile:
            reserve = 0
        under = caps(run=cap - reserve, day=cap - reserve)
        flying, left = [], reserve
        while queued := jobs.next_in_queue(ledger, "run-1", shard):
            asked = []
            for one in queued:
                hold, more, _ = wanted[one.row_number]
                item = weighed(one, hold + more)
                likely = NanoUsd(hold) if by_percentile else None
                asked.append(WeighedJob(item.job, replace(item.estimate, likely=likely)))
            taken = holds.take(
                ledger,
                RunKey("run-1", owner_of("run-1")),
                asked,
                under,
                may_defer=not flying,
                resend_unknown=False,
            )
            if taken.held:
                # at admission: settled + held + reserve <= cap
                assert all(used + reserve <= cap for _, used in money(ledger))
                left = reserve
            flying += taken.held
            random.shuffle(flying)
            for _ in range(random.randint(0 if taken.held else 1, len(flying)) if flying else 0):
                attempt = flying.pop()
                hold, more, excess = wanted[attempt.row_number]
                held = hold if by_percentile else hold + more
                cost = max(0, min(hold + excess, hold + more))
                if by_percentile:
                    cost = min(cost, held + left)
                    left -= max(0, cost - held)
                end = settlement(
                    attempt.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=NanoUsd(cost)
                )
                write_down(ledger, [attempt.attempt_id], [end])
                assert all(used <= cap for _, used in money(ledger))
        with ledger.read() as connection:
            rows = connection.execute(select(AttemptRow.row_number, AttemptRow.worst_case_nano_usd)).all()
        assert all(worst == sum(wanted[number][:2]) for number, worst in rows)
        ledger.close()


def test_what_is_held_is_the_percentile_and_the_worst_case_stays_on_record(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1)], [])
    asked = [
        WeighedJob(
            item.job,
            replace(item.estimate, likely=NanoUsd(30), expected_low=NanoUsd(5), expected_high=NanoUsd(9)),
        )
        for item in (weighed(one, 100) for one in jobs.next_in_queue(ledger, "run-1", 2))
    ]
    taken = holds.take(
        ledger, RunKey("run-1", owner_of("run-1")), asked, caps(run=59), may_defer=True, resend_unknown=False
    )
    assert (len(taken.held), taken.short) == (1, True)
    with ledger.read() as connection:
        [row] = connection.execute(select(AttemptRow.__table__)).all()
    assert (row.held_nano_usd, row.worst_case_nano_usd) == (30, 100)
    assert (row.expected_low_nano_usd, row.expected_high_nano_usd) == (5, 9)
    assert set(money(ledger)) == {("run", 30), ("day", 30), ("month", 30)}
