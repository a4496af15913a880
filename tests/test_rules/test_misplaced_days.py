"""Whether what was counted under a day left on it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.misplaced_days import CountedDay, misplaced_days

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Kiritimati"]
moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda one: one.replace(tzinfo=UTC))  # noqa: DTZ001


@given(st.sampled_from(ZONES), moments)
def test_a_moment_is_of_the_day_that_its_zone_has_then_and_of_no_day_two_off(name, moment):
    zone = ZoneInfo(name)
    own = moment.astimezone(zone).date()
    assert misplaced_days([CountedDay(own.isoformat(), moment, moment)], zone) == []
    for off in (-2, 2):
        day = (own + timedelta(days=off)).isoformat()
        assert misplaced_days([CountedDay(day, moment, moment)], zone) == [day]


@pytest.mark.parametrize(("minutes", "found"), [(-50, []), (-70, ["2026-11-27"])])
def test_clocks_that_differ_a_little_are_no_news(minutes, found):
    zone = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 11, 27, tzinfo=zone) + timedelta(minutes=minutes)
    noon = datetime(2026, 11, 27, 12, tzinfo=zone)
    assert misplaced_days([CountedDay("2026-11-27", before, noon)], zone) == found
    after = datetime(2026, 11, 28, tzinfo=zone) - timedelta(minutes=minutes)
    assert misplaced_days([CountedDay("2026-11-27", noon, after)], zone) == found
