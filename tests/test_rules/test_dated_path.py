"""Where the jobs of a night are."""

from datetime import UTC, datetime

import pytest

from rules.dated_path import dated_path

LATE = datetime(2026, 11, 26, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "zone", "dated"),
    [
        ("data/incoming/{date}*", "UTC", "data/incoming/2026-11-26*"),
        ("data/incoming/{date}*", "Europe/Berlin", "data/incoming/2026-11-27*"),
        ("{date}/{date}.parquet", "America/New_York", "2026-11-26/2026-11-26.parquet"),
        ("{day}/{}/{date", "UTC", "{day}/{}/{date"),
        ("jobs.parquet", "UTC", "jobs.parquet"),
    ],
)
def test_the_day_is_that_of_the_policys_time_zone_and_nothing_else_is_changed(path, zone, dated):
    assert dated_path(path, LATE, zone) == dated
