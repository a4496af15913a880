"""Moments of the ledger: whatever a database answers, it is the same moment in UTC."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.ledger import RunRow
from schemas.table import UtcDateTime
from tests.strategies import begin

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - the zone is drawn apart
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati"])


@given(moment=MOMENTS, there=ZONES)
def test_a_moment_in_whatever_zone_comes_back_as_the_same_in_utc(moment, there):
    aware = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(there))
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        kept = UtcDateTime().process_bind_param(aware, dialect)
        answered = kept if kept.tzinfo is None else kept.astimezone(ZoneInfo(there))
        found = UtcDateTime().process_result_value(answered, dialect)
        assert found == moment.replace(tzinfo=UTC)
        assert found.utcoffset() == timedelta(0)
    assert UtcDateTime().process_result_value(None, sqlite.dialect()) is None


@pytest.mark.parametrize("hour", [1, 13, 23])
def test_the_date_of_a_moment_on_record_is_the_utc_day_wherever_the_server_is(ledger, hour):
    started_at = datetime(2026, 12, 31, hour, tzinfo=UTC)
    begin(ledger)
    with ledger.write() as connection:
        connection.execute(RunRow.__table__.update().values(started_at=started_at))
    with ledger.read() as connection:
        found = connection.scalar(select(RunRow.started_at))
    assert (found, found.date()) == (started_at, started_at.date())
