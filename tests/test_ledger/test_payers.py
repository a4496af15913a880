"""What several jobs share is paid by one group or by all of theirs, to the nano-USD, and never over a group's cap
(promise 1)."""

import tempfile
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.budget import Payers
from schemas.ledger import AttemptRow, BudgetRow, HistoryRow
from schemas.outcome import AttemptState
from schemas.saving_tables import CostShareRow
from services.ledger import pruning, run_sums, windows
from services.ledger.payers import paying_groups, sharing_payers
from services.ledger.shared_answers import end_all, mark_sharers
from services.ledger.verify import verify
from services.ledger.verify_windows import check_windows
from tests.ledgers import failed, settle, succeeded, unknown
from tests.strategies import caps, end_early, examples, job, quick_ledger, take
from tests.test_ledger.test_shared_answers import answer_all, costs, files, jobs_of, read, rows_of

amounts = st.integers(0, 10**12)
payers = st.dictionaries(st.sampled_from(["", "ana", "ben", "eve"]), st.integers(1, 9), min_size=1).flatmap(
    lambda groups: st.sampled_from(sorted(groups)).map(lambda first: Payers(first, groups))
)


@given(payers, amounts)
def test_the_shares_of_all_jobs_sum_to_the_amount_and_the_first_bears_the_rest(bears, amount):
    each = amount // bears.jobs
    shares = {group: bears.share(group, amount) for group in bears.named()}
    ungrouped = bears.groups.get("", 0) * each + (amount % bears.jobs if bears.first == "" else 0)
    assert sum(shares.values()) + ungrouped == amount == bears.share("", amount)
    for group, share in shares.items():
        assert share == bears.groups[group] * each + (amount % bears.jobs if group == bears.first else 0)
    assert bears.share("stranger", amount) == 0


@given(payers, amounts, st.data())
def test_no_share_of_a_bill_is_above_that_of_its_hold(bears, worst_case, data):
    hold = bears.whole(worst_case)
    assert worst_case <= hold < worst_case + bears.jobs
    bill = data.draw(st.integers(0, worst_case))
    for group in ["", *bears.named()]:
        assert bears.share(group, bill) <= bears.share(group, hold)


def windows_of_groups(ledger, scope="run"):
    with ledger.read() as connection:
        found = connection.execute(
            select(BudgetRow.group_name, BudgetRow.held_nano_usd, BudgetRow.settled_nano_usd).where(
                BudgetRow.scope == scope
            )
        )
        return {group: (held, settled) for group, held, settled in found}


def assert_windows_add_up(ledger):
    with ledger.read() as connection:
        found = check_windows(connection)
    assert found.ok, found


def shared_money(file, bills, split, cap):
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        read(ledger, "run-1", jobs_of(file))
        bill_of: dict[str, int] = {}
        while True:
            held = take(ledger, [100] * 12, split=split, ana=cap).held
            # promise 1, for each group too
            day = windows_of_groups(ledger, "day")
            assert sum(day.get("ana", (0, 0))) <= cap
            if not held:
                break
            for attempt in held:
                bill_of[attempt.attempt_id] = bills[len(bill_of)]
            settle(ledger, *(succeeded(attempt, bill_of[attempt.attempt_id]) for attempt in held))
        end_all(ledger, "run-1")
        rows = rows_of(ledger)
        assert {row.outcome for row in rows} <= {"succeeded", "deferred"}
        cost_of = {row.row_number: row.cost for row in run_sums.answers(ledger, "run-1")}
        assert sum(cost_of.values()) == sum(bill_of.values())
        borne: Counter[str] = Counter()
        for row in rows:
            borne[row.group_name or ""] += cost_of.get(row.row_number, 0)
            if row.outcome == "succeeded" and row.shares_with_row is not None and not split:
                assert cost_of[row.row_number] == 0
        found = windows_of_groups(ledger)
        assert found[""] == (0, sum(bill_of.values()))
        for group in ("ana", "ben"):
            assert found.get(group, (0, 0)) == (0, borne[group])
        assert_windows_add_up(ledger)
        ledger.close()


SHARED_MONEY_CASES = given(
    files, st.lists(st.integers(0, 99), min_size=12, max_size=12), st.booleans(), st.integers(0, 200)
)


@settings(max_examples=examples(15))
@SHARED_MONEY_CASES
def test_money_is_conserved_and_each_group_bears_its_part(file, bills, split, cap):
    shared_money(file, bills, split, cap)


@pytest.mark.slow
@settings(max_examples=examples(40))
@SHARED_MONEY_CASES
def test_money_is_conserved_and_each_group_bears_its_part_in_many_cases(file, bills, split, cap):
    shared_money(file, bills, split, cap)


def split_held(ledger, worst_case=100, date="2026-11-30", **cap):
    """An attempt whose cost is split over one job of ana's, which is sent, and two of ben's."""
    read(
        ledger,
        "run-1",
        [job(0, group="ben"), job(1, group="ana", priority=1), job(2, group="ben"), job(3, text="other")],
    )
    return take(ledger, [worst_case], split=True, date=date, **cap).held


def test_a_group_without_room_for_its_share_defers_all_that_share(ledger):
    assert split_held(ledger, 100, ben=65) == []
    first = rows_of(ledger)[1]
    assert (first.outcome, first.reason) == ("deferred", "group_budget")
    assert "its share of" in first.detail
    assert "split over 3 jobs" in first.detail


def test_a_share_waits_while_the_money_of_its_group_is_in_flight(ledger):
    read(
        ledger,
        "run-1",
        [job(0, text="first", group="ben", priority=2), job(1, group="ana", priority=1), job(2, group="ben")],
    )
    taken = take(ledger, [90, 100], split=True, ben=100)
    assert ([attempt.row_number for attempt in taken.held], taken.short, taken.short_groups) == (
        [0],
        True,
        set(),
    )
    settle(ledger, succeeded(taken.held[0], 10))
    assert [attempt.row_number for attempt in take(ledger, [100], split=True, ben=100).held] == [1]


def test_what_is_held_settled_or_in_doubt_falls_on_each_group(ledger):
    [held] = split_held(ledger)
    # 100 is rounded up to 101, so that the rest of any smaller bill fits
    assert windows_of_groups(ledger) == {"": (101, 0), "ana": (35, 0), "ben": (66, 0)}
    settle(ledger, unknown(held))
    assert_windows_add_up(ledger)
    settle(ledger, succeeded(held, 100))
    assert windows_of_groups(ledger) == {"": (0, 100), "ana": (0, 34), "ben": (0, 66)}
    end_all(ledger, "run-1")
    assert costs(ledger) == [33, 34, 33]
    assert {window.group for window in run_sums.settled_in_windows(ledger, "run-1")} == {"", "ana", "ben"}
    assert_windows_add_up(ledger)


def test_what_failed_gives_every_group_its_money_back(ledger):
    [held] = split_held(ledger)
    settle(ledger, failed(held))
    assert windows_of_groups(ledger) == {"": (0, 0), "ana": (0, 0), "ben": (0, 0)}
    assert_windows_add_up(ledger)


def test_after_midnight_each_share_moves_to_its_groups_new_day(ledger):
    [held] = split_held(ledger)

    def move(**cap):
        with ledger.write() as connection:
            new = caps(date="2026-12-01", **{"ana": None, "ben": None} | cap)
            return windows.move_day(connection, [held.attempt_id], "2026-12-01", new)

    assert move(ben=65) == [held.attempt_id]
    assert move(ben=66) == []
    with ledger.read() as connection:
        month = select(BudgetRow.group_name, BudgetRow.held_nano_usd).where(BudgetRow.period == "2026-12")
        assert dict(connection.execute(month).all()) == {"": 101, "ana": 35, "ben": 66}
        groups = paying_groups(connection, AttemptRow.run_id == "run-1")
    assert groups == {("2026-12-01", "ana", None), ("2026-12-01", "ben", None)}
    assert_windows_add_up(ledger)


def test_a_later_run_bears_nothing_of_what_was_split_before(ledger):
    [held] = split_held(ledger)
    settle(ledger, succeeded(held, 100))
    end_all(ledger, "run-1")
    end_early(ledger, "run-1")
    read(ledger, "run-2", [job(0, "new", group="ben"), job(1, "job-0", group="ben")])
    assert (answer_all(ledger, "run-2"), costs(ledger, "run-2")) == (0, [0, 0])


def test_forgotten_attempts_leave_each_group_what_it_bore(ledger):
    [held] = split_held(ledger)
    settle(ledger, succeeded(held, 100, input_tokens=7, output_tokens=1))
    end_all(ledger, "run-1")
    end_early(ledger, "run-1")
    later = datetime.now(UTC) + timedelta(days=1)
    pruning.prune(ledger, later, later)
    with ledger.read() as connection:
        assert connection.scalars(select(AttemptRow.state)).all() != [AttemptState.SUCCEEDED]
        assert connection.execute(select(CostShareRow)).all() == []
        kept = select(HistoryRow.group_name, HistoryRow.jobs, HistoryRow.actual_nano_usd)
        assert sorted(connection.execute(kept).all()) == [("ana", 1, 34), ("ben", 0, 66)]
    assert_windows_add_up(ledger)
    assert verify(ledger).ok


def test_nobody_shares_the_cost_of_what_nobody_shares(ledger):
    read(ledger, "run-1", [job(0), job(1, text="other")])
    assert mark_sharers(ledger, "run-1") == 0
    assert sharing_payers(ledger, "run-1", [0, 1]) == {}
