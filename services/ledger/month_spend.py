"""What the days of a month cost."""

from collections import defaultdict
from datetime import date

from sqlalchemy import select

from schemas.ledger import BudgetRow
from schemas.outcome import Scope
from services.ledger.store import Ledger


def month_spend(ledger: Ledger, month: str) -> dict[str, dict[date, int]]:
    """Nano-USD settled on each day of a month that is on record, by group; "": of all jobs.

    Args:
        ledger: the ledger.
        month: such as 2026-11.
    """
    query = select(BudgetRow.group_name, BudgetRow.period, BudgetRow.settled_nano_usd).where(
        BudgetRow.scope == Scope.DAY, BudgetRow.period.startswith(f"{month}-", autoescape=True)
    )
    found: dict[str, dict[date, int]] = defaultdict(dict)
    with ledger.read() as connection:
        for group, day, settled in connection.execute(query):
            found[group][date.fromisoformat(day)] = settled
    return dict(found)
