"""Verifying the days of the caps: one known zone, by which every run and attempt is counted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select, update

from schemas.day_zone_table import DayZoneRow
from schemas.ledger import AttemptRow, RunRow
from services.ledger.day_zones import change_zone
from services.ledger.verify_days import check_days
from tests.ledgers import settle, started, succeeded
from tests.strategies import begin, end_early, policy, take


def found(ledger):
    with ledger.read() as connection:
        return check_days(connection)


def paid_on(ledger, day, sent):
    """A run with an attempt that is counted under a day and left at a moment."""
    started(ledger)
    [held] = take(ledger, [100], date=day).held
    settle(ledger, succeeded(held))
    change(ledger, update(AttemptRow).values(sent_at=sent))
    end_early(ledger, "run-1")


def change(ledger, *statements):
    with ledger.write() as connection:
        for statement in statements:
            connection.execute(statement)


def today(zone="UTC"):
    return datetime.now(ZoneInfo(zone)).date()


def test_a_ledger_without_runs_has_no_zone_yet_and_one_with_runs_needs_one(ledger):
    assert found(ledger).ok
    begin(ledger)
    assert found(ledger).found == "the days of all caps are days in UTC"
    change(ledger, delete(DayZoneRow))
    check = found(ledger)
    assert not check.ok
    assert "run-1" in check.found
    assert "weighbridge time-zone" in check.what_to_do


def test_a_zone_that_nobody_knows_is_a_fault(ledger):
    begin(ledger)
    change(ledger, update(DayZoneRow).values(time_zone="Europe/Nowhere"))
    check = found(ledger)
    assert not check.ok
    assert check.found == "unknown time zones: 1 (Europe/Nowhere)"


def test_a_run_of_another_zone_than_the_ledger_is_a_fault_unless_the_zone_was_changed_since(ledger):
    begin(ledger, rules=policy(time_zone="Europe/Berlin"))
    assert found(ledger).ok
    end_early(ledger, "run-1")
    change_zone(ledger, "Asia/Tokyo", datetime.now(UTC))
    assert found(ledger).ok
    later = datetime.now(UTC) + timedelta(minutes=1)
    change(ledger, update(RunRow).values(started_at=later))
    check = found(ledger)
    assert not check.ok
    assert "runs that count their days in another zone than Asia/Tokyo: 1 (run-1)" in check.found


@pytest.mark.parametrize("days", [-2, 0, 2])
def test_a_day_under_which_something_of_another_day_is_counted_is_named_and_is_no_fault(ledger, days):
    sent = datetime.now(UTC) + timedelta(minutes=1)
    day = (sent.date() + timedelta(days=days)).isoformat()
    paid_on(ledger, day, sent)
    check = found(ledger)
    assert check.ok
    assert (day in check.found) == (days != 0)
    assert ("weighbridge time-zone UTC" in check.what_to_do) == (days != 0)


def test_what_was_counted_before_the_zone_was_known_is_left_alone(ledger):
    paid_on(ledger, "2020-01-01", datetime(2026, 1, 1, tzinfo=UTC))
    assert found(ledger).what_to_do == ""


def test_after_a_change_this_month_goes_by_the_new_zone(ledger):
    paid_on(ledger, today().isoformat(), datetime.now(UTC))
    change_zone(ledger, "Pacific/Kiritimati", datetime.now(UTC))
    assert found(ledger).what_to_do == ""
    with ledger.read() as connection:
        day = connection.scalar(select(AttemptRow.budget_day))
    wrong = datetime.fromisoformat(day).date() - timedelta(days=2)
    change(ledger, update(AttemptRow).values(budget_day=wrong.isoformat()))
    assert wrong.isoformat() in found(ledger).found
