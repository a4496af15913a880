"""The projection as a sentence: figures, range, the day of the cap, and what it does not know."""

from datetime import date

from rules.project_month import project_month
from rules.projection_text import projection_line

USD = 10**9
DAYS = {date(2026, 11, n): (3 if n == 4 else 2) * USD for n in range(1, 11)}


def line(cap, group=None, fewest=5):
    return projection_line(project_month(cap * USD, DAYS, date(2026, 11, 10), fewest, group))


def test_a_budget_that_will_be_reached_is_named_with_its_day_and_its_range():
    assert line(40) == (
        "Month 2026-11: $21.00 of the budget of $40.00 are settled, and about $63.33 are projected for its end "
        "($61.00 to $82.00, from 9 days); the budget is reached about 2026-11-19."
    )


def test_a_budget_that_suffices_says_so_and_whether_dear_days_would_pass_it():
    assert line(100).endswith("; the budget suffices.")
    days = {date(2026, 11, n): (9 if n in (2, 5) else 1) * USD for n in range(1, 11)}
    found = project_month(100 * USD, days, date(2026, 11, 10), 5)
    assert projection_line(found).endswith(
        "; the budget suffices at this rate, and not if the days to come are expensive ones."
    )


def test_from_too_few_days_nothing_is_projected_and_it_says_so():
    assert line(100, "red", fewest=12) == (
        "Month 2026-11: $21.00 of the budget of the group red of $100.00 are settled. Nothing is projected from fewer "
        "than 12 whole days with spending, and there are 9."
    )
    assert line(21, fewest=12).endswith(" The budget is reached.")
