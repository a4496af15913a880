"""What the days of a month cost: every day on record, of each group, and no other month's."""

from datetime import date

from sqlalchemy import insert

from schemas.ledger import BudgetRow
from services.ledger.month_spend import month_spend


def test_the_days_of_one_month_are_read_by_group(ledger):
    days = {
        ("day", "2026-10-31", ""): 1,
        ("day", "2026-11-01", ""): 2,
        ("day", "2026-11-01", "red"): 3,
        ("day", "2026-11-30", ""): 4,
        ("day", "2026-12-01", ""): 5,
        ("month", "2026-11", ""): 6,
        ("run", "2026-11-01", "blue"): 7,
        ("deadline", "2026-11-23T05:30:00Z", ""): 8,
    }
    with ledger.write() as connection:
        for (scope, period, group), nano in days.items():
            row = {"scope": scope, "period": period, "group_name": group, "settled_nano_usd": nano}
            connection.execute(insert(BudgetRow).values(**row, held_nano_usd=0))
    assert month_spend(ledger, "2026-11") == {
        "": {date(2026, 11, 1): 2, date(2026, 11, 30): 4},
        "red": {date(2026, 11, 1): 3},
    }
    assert month_spend(ledger, "2026-09") == {}
