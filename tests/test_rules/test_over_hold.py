"""No bill is above what its attempt can cost at worst, which may be more than was held for it."""

from hypothesis import given
from hypothesis import strategies as st

from rules.over_hold import over_hold
from schemas.money import usd_text

AMOUNTS = st.integers(0, 10**12)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_only_a_bill_above_hold_and_worst_case_is_refused_and_the_most_is_named(billed, held, worst_case):
    why = over_hold(billed, held, worst_case)
    most = max(held, worst_case)
    assert (why is None) is (billed <= most)
    if why is not None:
        assert why.startswith(f"{usd_text(billed)} USD is more than the {usd_text(most)} USD")
