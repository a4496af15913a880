"""Deployments in words."""

from schemas.deployment import ScheduleSpec


def test_a_schedule_reads_as_when_it_runs_and_whether():
    schedule = ScheduleSpec("at-two", "0 2 * * *", "Europe/Berlin")
    assert str(schedule) == '"0 2 * * *" in Europe/Berlin, active'
    assert str(ScheduleSpec(None, "0 2 * * *", None, active=False)) == '"0 2 * * *" in UTC, paused'
