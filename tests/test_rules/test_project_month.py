"""The end of a month, from its days: a range that holds the expectation, and nothing from too few days."""

from calendar import monthrange
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from rules.project_month import project_month
from schemas.money import to_nano, to_usd

USD = 10**9
FEWEST = 5


@st.composite
def months(draw):
    """What the days of a month cost up to one of them, and that day."""
    today = draw(st.dates(date(2024, 1, 1), date(2030, 12, 31)))
    amounts = draw(st.lists(st.integers(0, 10**12), min_size=today.day, max_size=today.day))
    days = {today.replace(day=n + 1): nano for n, nano in enumerate(amounts)}
    return {day: nano for day, nano in days.items() if nano or draw(st.booleans())}, today


def all_days(amounts, first=1):
    return {date(2026, 11, first + n): nano for n, nano in enumerate(amounts)}


@given(months(), st.integers(1, 10**13))
def test_the_range_holds_the_expectation_and_is_never_below_what_is_settled(month, cap):
    settled, today = month
    found = project_month(cap, settled, today, FEWEST)
    assert to_nano(found.settled_usd) == sum(settled.values())
    if found.expected_usd is None:
        assert found.days < FEWEST
        assert found.low_usd is None
        assert found.high_usd is None
    else:
        assert found.days >= FEWEST
        assert found.settled_usd <= found.low_usd <= found.expected_usd <= found.high_usd


@given(months(), st.integers(1, 10**13))
def test_the_cap_is_reached_on_a_day_of_the_month_exactly_when_the_expectation_reaches_it(month, cap):
    settled, today = month
    found = project_month(cap, settled, today, FEWEST)
    if found.expected_usd is None:
        assert found.reached_on == (today if sum(settled.values()) >= cap else None)
        return
    assert (found.reached_on is not None) == (to_nano(found.expected_usd) >= cap)
    if found.reached_on is not None:
        assert today <= found.reached_on <= today.replace(day=monthrange(today.year, today.month)[1])


@given(months(), st.data())
def test_a_dearer_day_never_makes_the_expectation_lower(month, data):
    settled, today = month
    before = project_month(USD, settled, today, FEWEST)
    assume(before.expected_usd is not None)
    day = data.draw(st.sampled_from(sorted(settled)))
    assume(settled[day])  # a new first day would spread the mean over more days
    more = settled | {day: settled[day] + data.draw(st.integers(1, 10**12))}
    after = project_month(USD, more, today, FEWEST)
    assert after.expected_usd >= before.expected_usd
    assert after.settled_usd > before.settled_usd


@given(st.integers(1, 10**12), st.integers(6, 29))
def test_a_month_of_like_days_ends_at_as_many_times_a_day(nano, today):
    found = project_month(10**15, all_days([nano] * today), date(2026, 11, today), FEWEST)
    assert {found.low_usd, found.expected_usd, found.high_usd} == {to_usd(30 * nano)}


def test_the_days_that_count_begin_with_the_first_that_cost_something_and_hold_those_that_cost_nothing():
    found = project_month(100 * USD, all_days([0, 0, 7 * USD, 0, 0, 0, 0]), date(2026, 11, 10), FEWEST)
    assert found.days == 7  # from the third to the ninth
    assert found.expected_usd == Decimal(7 + 21)  # one dollar a day, today's among them
    assert (found.low_usd, found.high_usd) == (Decimal(7), Decimal(7 + 7 * 21))
    assert found.reached_on is None


def test_today_costs_as_much_as_the_other_days_or_what_it_cost_so_far():
    days = [2 * USD] * 9
    cheap_so_far = project_month(USD, all_days([*days, USD]), date(2026, 11, 10), FEWEST)
    dear_so_far = project_month(USD, all_days([*days, 5 * USD]), date(2026, 11, 10), FEWEST)
    assert cheap_so_far.expected_usd == Decimal(18 + 2 + 20 * 2)
    assert dear_so_far.expected_usd == Decimal(18 + 5 + 20 * 2)


def test_the_day_is_named_on_which_the_cap_is_reached():
    days = all_days([2 * USD] * 10)
    for cap, on in ((20, 10), (21, 11), (22, 11), (23, 12), (60, 30)):
        assert project_month(cap * USD, days, date(2026, 11, 10), FEWEST).reached_on == date(2026, 11, on)
    assert project_month(61 * USD, days, date(2026, 11, 10), FEWEST).reached_on is None


def test_of_fewer_days_than_wanted_nothing_is_projected():
    days = all_days([USD] * 5)
    assert project_month(9 * USD, days, date(2026, 11, 5), FEWEST).expected_usd is None
    tomorrow = date(2026, 11, 5) + timedelta(days=1)
    assert project_month(9 * USD, days, tomorrow, FEWEST).expected_usd is not None
