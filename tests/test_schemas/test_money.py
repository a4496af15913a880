"""Money: nano-USD in sums, decimals where people read, nothing lost between."""

from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.money import (
    to_nano,
    to_usd,
    to_usd_or_none,
    usd_at_most,
    usd_exact,
    usd_most,
    usd_rounded,
    usd_short,
    usd_short_most,
    usd_text,
)

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


#: as a person reads them: a tenth of a nano-USD a token is an amount too
READ = st.decimals(-(10**9), 10**9, places=15) | nanos.map(to_usd) | st.decimals(-1, 1, places=15)


def read(text):
    """What a person takes an amount for."""
    return Decimal(text.replace("$", "").replace(",", ""))


@given(READ)
@example(Decimal("0.0000004"))
@example(Decimal("-0.0000000000004"))
def test_an_amount_reads_as_zero_only_when_it_is_zero(usd):
    for shown in (usd_rounded(usd), usd_most(usd), usd_at_most(to_nano(usd))):
        assert "E" not in shown.upper()
    assert (read(usd_rounded(usd)) == 0) is (read(usd_most(usd)) == 0) is (usd == 0)
    assert (read(usd_at_most(to_nano(usd))) == 0) is (to_nano(usd) == 0)


@given(READ)
@example(Decimal("1.0000000001"))
@example(Decimal("0.004"))
def test_an_upper_bound_never_reads_lower_than_it_is_nor_much_higher(usd):
    assert usd <= read(usd_most(usd)) < usd + Decimal("0.01")
    assert abs(read(usd_rounded(usd)) - usd) <= Decimal("0.005")
    bound = to_usd(to_nano(usd))
    shown = read(usd_at_most(to_nano(usd)))
    assert bound <= shown < bound + Decimal("0.01")
    if bound >= 0:
        assert shown <= bound * Decimal("1.1")


def test_a_bound_reads_in_cents_and_below_ten_cents_in_two_digits():
    found = [
        usd_at_most(n) for n in (0, 1, 4_000_000, 12_300_001, 99_900_000, 250_000_000, 1_234_561 * 10**6)
    ]
    assert found == ["0.00", "0.000000001", "0.004", "0.013", "0.10", "0.25", "1,234.57"]
    assert [usd_short_most(n) for n in (0, 1, 1_001, 1_000_000_001)] == [
        "$0.000000",
        "$0.000001",
        "$0.000002",
        "$1.01",
    ]
    assert [usd_short(n) for n in (1, 400)] == ["$0.000000001", "$0.0000004"]


def test_no_amount_is_no_text():
    assert (usd_short(None), usd_short_most(None), usd_exact(None), to_usd_or_none(None)) == (
        "",
        "",
        "",
        None,
    )
