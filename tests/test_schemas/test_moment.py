"""A moment in UTC, whatever zone it comes in."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from schemas.moment import in_utc


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_it_is_the_same_moment_and_its_date_is_the_utc_day(moment):
    found = in_utc(moment)
    assert (found.timestamp(), found.utcoffset()) == (moment.timestamp(), timedelta(0))
    assert in_utc(found.replace(tzinfo=None)) == found
    assert in_utc(found).tzinfo is UTC
