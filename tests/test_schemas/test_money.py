"""Money: nano-USD in sums, decimals where people read, nothing lost between."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.money import to_nano, to_usd, to_usd_or_none, usd_exact, usd_rounded, usd_short, usd_text

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


@given(nanos)
def test_what_people_read_is_the_same_from_nanos_and_from_usd(nano):
    assert usd_short(nano) == usd_rounded(to_usd(nano))
    assert to_usd_or_none(nano) == to_usd(nano)


@given(st.decimals(-(10**20), 10**20, places=18) | nanos.map(to_usd))
def test_a_comparison_shows_every_digit_of_an_amount(usd):
    shown = usd_exact(usd)
    assert Decimal(shown) == usd
    assert len(shown.partition(".")[2]) >= 9
    assert "E" not in shown.upper()


def test_no_amount_is_no_text():
    assert (usd_short(None), usd_exact(None), to_usd_or_none(None)) == ("", "", None)
