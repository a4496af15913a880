"""No bill is above the worst case that was held for it."""

from hypothesis import given
from hypothesis import strategies as st

from rules.over_hold import over_hold
from schemas.money import usd_text

AMOUNTS = st.integers(0, 10**12)


@given(AMOUNTS, AMOUNTS)
def test_only_a_bill_above_its_hold_is_refused_and_both_are_named(billed, held):
    why = over_hold(billed, held)
    assert (why is None) is (billed <= held)
    if why is not None:
        assert why.startswith(f"{usd_text(billed)} USD is more than the {usd_text(held)} USD held")
