"""How new the price list is."""

from datetime import date

from rules.price_age import newest_price_day


def test_the_newest_day_is_one_that_the_list_names_and_none_of_the_future():
    newest = newest_price_day(date(2026, 11, 27))
    assert date(2026, 10, 14) <= newest <= date(2026, 11, 27)
    assert newest_price_day(date(2026, 4, 1)) == date(2026, 3, 13)
    assert newest_price_day(date(2000, 1, 1)) is None
