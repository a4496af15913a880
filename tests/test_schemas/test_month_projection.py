"""A projection survives its way through the ledger, exactly."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from schemas.month_projection import MonthProjection

amounts = st.none() | st.integers(0, 10**18).map(lambda nano: Decimal(nano) / 10**9)


@given(amounts, st.none() | st.dates(date(2026, 1, 1), date(2027, 1, 1)))
def test_a_projection_is_the_same_after_it_was_kept_as_json(usd, day):
    found = MonthProjection(
        month="2026-11",
        cap_usd=Decimal(1),
        settled_usd=Decimal("0.000000001"),
        days=9,
        fewest_days=5,
        expected_usd=usd,
        reached_on=day,
    )
    assert MonthProjection.model_validate_json(found.model_dump_json()) == found
