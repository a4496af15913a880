"""Which moment a deadline is, in any time zone and across changes of the clock, and when the morning is at risk."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.deadline import at_risk_line, deadline_of, is_at_risk, next_moment, seconds_until_risk
from schemas.run import Deadline
from tests.strategies import policy

#: with changes of the clock of an hour and of half an hour, in either half of the year, by night and at midnight
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)
SECOND = timedelta(seconds=1)
DUE = {"deadline": "06:30", "deadline_budget_usd": "5"}

zones = st.sampled_from(ZONES).map(ZoneInfo)
times = st.times().map(lambda at: at.replace(microsecond=0))
starts = st.datetimes(datetime(2026, 1, 1), datetime(2030, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def shown(moment, zone):
    """What the clocks of a zone show at a moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


@given(starts, times, zones)
@example(datetime(2027, 3, 27, 12, tzinfo=UTC), time(2, 30), ZoneInfo("Europe/Berlin"))
@example(datetime(2027, 10, 30, 12, tzinfo=UTC), time(2, 30), ZoneInfo("Europe/Berlin"))
@example(datetime(2027, 9, 5, 2, tzinfo=UTC), time(0, 15), ZoneInfo("America/Santiago"))
def test_the_clocks_show_the_time_at_that_moment_or_have_just_been_set_over_it(start, at, zone):
    moment = next_moment(start, at, zone)
    now, before = shown(moment, zone), shown(moment - SECOND, zone)
    wanted = datetime.combine(now.date(), at)
    assert now == wanted or before < wanted < now
    # what was skipped is short
    assert now - wanted <= timedelta(hours=1)


@given(starts, times, zones)
def test_it_is_after_the_start_and_at_most_a_day_and_a_change_of_the_clock_later(start, at, zone):
    moment = next_moment(start, at, zone)
    assert timedelta() < moment - start <= timedelta(hours=25)


@given(starts, times, zones, st.integers(1, 25 * 3600))
@example(datetime(2027, 10, 31, 0, 29, tzinfo=UTC), time(2, 30), ZoneInfo("Europe/Berlin"), 60)
def test_no_moment_between_the_start_and_it_shows_the_time(start, at, zone, seconds):
    between = start + seconds * SECOND
    if between < next_moment(start, at, zone):
        assert shown(between, zone).time() != at


@given(starts, times, zones)
def test_the_next_moment_after_it_is_another_one(start, at, zone):
    first = next_moment(start, at, zone)
    assert next_moment(first - SECOND, at, zone) == first
    assert next_moment(first, at, zone) > first


@pytest.mark.parametrize(
    ("start", "at", "due"),
    [
        ("2026-11-27T21:00:00", time(6, 30), "2026-11-28T05:30:00"),
        # a run that starts after it aims at the next day's
        ("2026-11-28T05:30:00", time(6, 30), "2026-11-29T05:30:00"),
        # summer time begins: the night is an hour shorter; what is skipped is due at the change
        ("2027-03-27T21:00:00", time(6, 30), "2027-03-28T04:30:00"),
        ("2027-03-27T21:00:00", time(2, 30), "2027-03-28T01:00:00"),
        # summer time ends: the first of two, and the second for a run that starts between them
        ("2027-10-30T21:00:00", time(2, 30), "2027-10-31T00:30:00"),
        ("2027-10-31T00:45:00", time(2, 30), "2027-10-31T01:30:00"),
        ("2027-10-30T21:00:00", time(6, 30), "2027-10-31T05:30:00"),
    ],
)
def test_in_berlin(start, at, due):
    found = next_moment(datetime.fromisoformat(start + "+00:00"), at, ZoneInfo("Europe/Berlin"))
    assert found == datetime.fromisoformat(due + "+00:00")


@given(starts, st.integers(0, 1440), st.integers(-2 * 86_400, 2 * 86_400))
def test_it_is_at_risk_from_its_lead_time_on_and_the_wait_ends_just_then(start, lead, seconds):
    rules = policy(mode="batches", time_zone="Europe/Berlin", batch=DUE | {"deadline_lead_minutes": lead})
    deadline = deadline_of(rules, start)
    assert deadline.due - deadline.at_risk_from == timedelta(minutes=lead)
    now = deadline.at_risk_from + seconds * SECOND
    left = seconds_until_risk(deadline, now)
    assert is_at_risk(deadline, now) == (left == 0)
    assert left == max(0, -seconds)


def test_without_a_time_or_in_messages_mode_nothing_is_ever_at_risk():
    start = datetime(2026, 11, 27, tzinfo=UTC)
    for rules in (policy(mode="batches"), policy(mode="messages", batch=DUE)):
        assert deadline_of(rules, start) is None
    assert not is_at_risk(None, start)
    assert seconds_until_risk(None, start) is None


def test_runs_that_are_due_at_one_moment_share_a_window_and_no_others():
    moment = datetime(2026, 11, 28, 5, 30, tzinfo=UTC)
    here = Deadline(moment, moment)
    there = Deadline(moment.astimezone(ZoneInfo("Europe/Berlin")), moment - timedelta(hours=1))
    assert here.period == there.period == "2026-11-28T05:30:00Z"
    assert Deadline(moment + SECOND, moment).period != here.period


def test_the_sentence_names_the_time_in_the_policys_zone_and_the_money():
    rules = policy(mode="batches", time_zone="Europe/Berlin", batch=DUE)
    line = at_risk_line(deadline_of(rules, datetime(2026, 11, 27, 21, tzinfo=UTC)), rules)
    assert "2026-11-28 06:30 (Europe/Berlin)" in line
    assert "5 USD" in line
