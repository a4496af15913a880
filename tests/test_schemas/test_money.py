"""Money: nano-USD in sums, decimals where people read, nothing lost between."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.money import to_nano, to_usd, usd_short, usd_text

nanos = st.integers(-(2**63), 2**63 - 1)
amounts = st.decimals(0, 10**9, places=15)


@given(nanos)
def test_nano_usd_comes_back_exactly_by_number_and_by_text(nano):
    assert to_nano(to_usd(nano)) == nano
    assert to_nano(Decimal(usd_text(nano))) == nano
    assert "E" not in usd_text(nano).upper()


@given(amounts)
@example(Decimal("0.0000000001"))
def test_an_amount_is_rounded_up_and_by_less_than_one_nano(usd):
    nano = to_nano(usd)
    assert usd <= to_usd(nano) < usd + Decimal("0.000000001")


@given(st.lists(amounts, max_size=5))
def test_a_sum_of_rounded_prices_is_never_below_the_price_of_the_sum(prices):
    assert sum(map(to_nano, prices)) >= to_nano(sum(prices, Decimal(0)))


def test_people_read_cents_from_a_dollar_on_and_more_places_below():
    assert [usd_short(n) for n in (0, 1_500, 999_999_000, 10**9, 1_234_567 * 10**9)] == [
        "$0.000000",
        "$0.000002",
        "$0.999999",
        "$1.00",
        "$1,234,567.00",
    ]
