"""A ledger counts its days in one time zone, so that a cap of a day holds by the clocks that it is meant by."""

import tempfile
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from rules.caps import budget_day
from schemas.errors import BadInput
from schemas.ledger import AttemptRow, BudgetRow
from schemas.outcome import AttemptState, Outcome
from services.ledger import jobs, open_ledger
from services.ledger.day_zones import change_zone, zone_of
from services.ledger.verify_windows import check_windows
from tests.ledgers import started
from tests.strategies import (
    begin,
    end_early,
    examples,
    job,
    policy,
    quick_ledger,
    settlement,
    take,
    write_down,
)

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]
#: the clocks are put forward or back in one of them, or a month begins
DATES = [date(2026, 10, 4), date(2026, 10, 25), date(2026, 11, 1), date(2026, 11, 2), date(2026, 3, 29)]
CAP = 200
zones = st.sampled_from(ZONES)


@st.composite
def instants(draw, around):
    """A moment within some hours of midnight in one of the zones, on a day after which its clocks change, or near it."""
    zone = ZoneInfo(draw(zones))
    midnight = datetime.combine(around + timedelta(days=draw(st.integers(0, 1))), time(), zone)
    return midnight.astimezone(UTC) + timedelta(seconds=draw(st.integers(-4 * 3_600, 4 * 3_600)))


@st.composite
def nights(draw):
    """Two zones, and what was paid at which moment by which group: moment, cost, group, whether it was answered."""
    around = draw(st.sampled_from(DATES))
    one = st.tuples(
        instants(around), st.integers(1, 150), st.sampled_from([None, "ana", "ben"]), st.booleans()
    )
    return draw(zones), draw(zones), draw(st.lists(one, min_size=1, max_size=6))


def spend(ledger, run_id, paid, zone):
    """A run that pays at each moment, counted under the days of a zone, and ends."""
    begin(ledger, run_id, rules=policy(time_zone=zone))
    jobs.add(ledger, run_id, [job(n, f"{run_id} {n}", group=one[2]) for n, one in enumerate(paid)], [])
    for moment, cost, group, is_answered in paid:
        groups = {group: None} if group else {}
        [held] = take(ledger, [cost], run_id, date=day_in(zone, moment), **groups).held
        end = settlement(held.attempt_id, AttemptState.UNKNOWN, Outcome.UNKNOWN)
        if is_answered:
            end = settlement(
                held.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=cost, response="{}"
            )
        write_down(ledger, [held.attempt_id], [end])
        with ledger.write() as connection:
            of_it = update(AttemptRow).where(AttemptRow.attempt_id == held.attempt_id)
            connection.execute(of_it.values(opened_at=moment, sent_at=moment))
    end_early(ledger, run_id)


def day_in(zone, moment):
    return moment.astimezone(ZoneInfo(zone)).date().isoformat()


def used_by_window(ledger):
    with ledger.read() as connection:
        columns = (BudgetRow.scope, BudgetRow.period, BudgetRow.group_name)
        total = BudgetRow.held_nano_usd + BudgetRow.settled_nano_usd
        found = connection.execute(select(*columns, total).where(BudgetRow.scope.in_(["day", "month"])))
        return {(scope, period, group): used for scope, period, group, used in found if used}


def summed(paid, zone):
    """What was paid in each day and month of a zone, by its clocks."""
    sums = Counter()
    for moment, cost, group, _ in paid:
        day = day_in(zone, moment)
        for name in {"", group or ""}:
            sums["day", day, name] += cost
            sums["month", day[:7], name] += cost
    return sums


@settings(max_examples=examples(15))
@given(nights())
def test_after_a_change_each_day_and_month_holds_what_was_paid_in_it_by_the_new_zones_clocks(night):
    before, after, paid = night
    now = max(moment for moment, *_ in paid) + timedelta(seconds=1)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'ledger.db'}"
        with closing(quick_ledger(url)) as ledger:
            spend(ledger, "run-1", paid, before)
            assert used_by_window(ledger) == summed(paid, before)
            change = change_zone(ledger, after, now)
            assert used_by_window(ledger) == summed(paid, after)
            moved = [one for one in paid if day_in(before, one[0]) != day_in(after, one[0])]
            assert (change.before, change.recounted) == (before, len(moved))
            with ledger.read() as connection:
                found = check_windows(connection)
            assert found.ok, found

            # what is held from now on and what was paid in the course of this day are within its cap together
            rules = policy(time_zone=after)
            begin(ledger, "run-2", rules=rules)
            jobs.add(ledger, "run-2", [job(n, f"later {n}") for n in range(4)], [])
            later = take(ledger, [60] * 4, "run-2", date=budget_day(rules, now), day=CAP).held
            today = summed(paid, after)["day", day_in(after, now), ""]
            assert today + 60 * len(later) <= max(CAP, today)
            assert len(later) == min(4, max(0, (CAP - today) // 60))


@pytest.mark.parametrize("other", ["Europe/Berlin", "Etc/UTC"])
def test_a_run_of_another_zone_is_refused_and_leaves_nothing_behind(ledger, other):
    started(ledger)
    with pytest.raises(BadInput, match="counts its days in UTC") as refused:
        begin(ledger, "run-2", rules=policy(time_zone=other))
    assert f"weighbridge time-zone {other} --ledger" in str(refused.value)
    with ledger.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM runs")) == 1
        assert zone_of(connection) == "UTC"
    begin(ledger, "run-3", rules=policy(time_zone="UTC"))


def test_of_an_empty_ledger_the_first_run_says_the_zone(ledger):
    with ledger.read() as connection:
        assert zone_of(connection) is None
    begin(ledger, rules=policy(time_zone="Asia/Tokyo"))
    with ledger.read() as connection:
        assert zone_of(connection) == "Asia/Tokyo"


def test_a_change_waits_for_the_end_of_every_run_and_names_some(ledger):
    for number in range(5):
        begin(ledger, f"run-{number}")
    with pytest.raises(BadInput, match=r"run-0, run-1, run-2 and 2 more\. Nothing was changed"):
        change_zone(ledger, "Asia/Tokyo", datetime.now(UTC))
    with ledger.read() as connection:
        assert zone_of(connection) == "UTC"
    for number in range(5):
        end_early(ledger, f"run-{number}")
    assert change_zone(ledger, "Asia/Tokyo", datetime.now(UTC)).before == "UTC"
    begin(ledger, "run-5", rules=policy(time_zone="Asia/Tokyo"))


def test_more_than_a_page_of_attempts_is_counted_again_with_its_money(ledger, monkeypatch):
    monkeypatch.setattr("services.ledger.day_zones._PAGE", 3)
    late = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)
    paid = [(late + timedelta(minutes=n), n + 1, "ana", True) for n in range(8)]
    spend(ledger, "run-1", paid, "UTC")
    assert change_zone(ledger, "Asia/Tokyo", late).recounted == 8
    assert used_by_window(ledger) == summed(paid, "Asia/Tokyo")


def test_a_shared_answer_takes_each_groups_share_along(ledger):
    begin(ledger)
    same = [job(n, f"job-{n}", group=group) for n, group in enumerate(["ana", "ben", "ben"])]
    jobs.add(ledger, "run-1", same, [])
    [held] = take(ledger, [100], date="2026-11-22", split=True, ana=None, ben=None).held
    answered = settlement(held.attempt_id, AttemptState.SUCCEEDED, Outcome.SUCCEEDED, cost=77, response="{}")
    write_down(ledger, [held.attempt_id], [answered])
    moment = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).values(opened_at=moment, sent_at=moment))
    before = used_by_window(ledger)
    end_early(ledger, "run-1")
    change_zone(ledger, "Europe/Berlin", moment)
    assert used_by_window(ledger) == {
        (scope, period.replace("11-22", "11-23"), group): used
        for (scope, period, group), used in before.items()
    }


def test_a_ledger_of_the_version_before_counts_in_the_zone_of_the_run_begun_last(ledger_url):
    with closing(quick_ledger(ledger_url)) as ledger:
        begin(ledger, "run-1", rules=policy(time_zone="Asia/Tokyo"))
        with ledger.write() as connection:
            for statement in (
                "DROP TABLE day_zones",
                "DROP INDEX ix_runs_reading_digest",
                "ALTER TABLE runs DROP COLUMN reading_digest",
                "UPDATE alembic_version SET version_num = '0018'",
            ):
                connection.execute(text(statement))
    with closing(open_ledger(ledger_url)) as ledger, ledger.read() as connection:
        assert zone_of(connection) == "Asia/Tokyo"
