"""What deferred jobs need is read from the ledger, and with the caps that are named the next night sends them."""

import asyncio
from decimal import Decimal

import pytest

from services.ledger.deferred_sums import deferred_sums
from tests.nights import night, text_row
from tests.strategies import quick_ledger


def rows(number, **more):
    return [{"job_id": f"job-{n}"} | text_row(f"job {n}", max_tokens=500) | more for n in range(number)]


@pytest.fixture
def own_ledger(tmp_path):
    opened = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


def test_a_night_names_what_its_deferred_jobs_need_and_with_it_the_next_night_is_complete(
    own_ledger, tmp_path
):
    day = {"day": {"budget_usd": "0.00032"}}
    _, short = asyncio.run(night(own_ledger, tmp_path, 1, rows(8), **day))
    need = short.deferred_for_money
    assert need.jobs == short.jobs.deferred > 0
    assert need.unpriced == 0
    assert 0 < need.expected_usd <= need.worst_usd
    [cap] = need.caps
    assert (cap.setting, cap.cap_usd, cap.used_usd) == (
        "day.budget_usd",
        Decimal("0.00032"),
        short.usd.actual,
    )
    _, again = asyncio.run(night(own_ledger, tmp_path, 2, rows(8), **day))
    assert again.jobs.deferred > 0
    raised = {"day": {"budget_usd": cap.enough_usd}}
    _, after = asyncio.run(night(own_ledger, tmp_path, 3, rows(8), **raised))
    assert (after.jobs.succeeded, after.deferred_for_money) == (8, None)


def test_the_budget_of_a_run_is_whole_again_for_the_next_one(own_ledger, tmp_path):
    budget = {"run": {"budget_usd": "0.0001"}}
    _, short = asyncio.run(night(own_ledger, tmp_path, 1, rows(6), **budget))
    assert short.jobs.deferred > 0
    assert all(cap.used_usd == 0 for cap in short.deferred_for_money.caps)


def test_jobs_are_summed_by_group_and_reason_and_those_without_a_price_are_counted(own_ledger, tmp_path):
    groups = [row | {"group": "red"} if n % 2 else row for n, row in enumerate(rows(6))]
    asyncio.run(night(own_ledger, tmp_path, 1, groups, run={"budget_usd": "0.000001"}))
    with own_ledger.read() as connection:
        sql = "SELECT coalesce(group_name, ''), count(*), sum(expected_nano_usd), sum(worst_case_nano_usd) FROM jobs GROUP BY 1"
        wanted = [tuple(row) for row in connection.exec_driver_sql(sql)]
    found = deferred_sums(own_ledger, "run-1")
    assert [(one.group, one.jobs, one.expected, one.worst_case) for one in found] == wanted
    assert {one.reason for one in found} == {"run_budget"}
    with own_ledger.write() as connection:
        connection.exec_driver_sql("UPDATE jobs SET expected_nano_usd = NULL, worst_case_nano_usd = NULL")
    assert [(one.jobs, one.unpriced, one.worst_case) for one in deferred_sums(own_ledger, "run-1")] == [
        (3, 3, 0),
        (3, 3, 0),
    ]
