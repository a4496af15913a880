"""Moving and settling as many attempts at once as the largest batch has."""

import pytest

from schemas.budget import DayCaps
from schemas.ledger import AttemptRow
from services.ledger import settle, windows
from tests.ledgers import budgets, failed, rows, started
from tests.strategies import caps, take

#: more values than a statement of PostgreSQL takes
MANY = 70_000
NAMES = [f"att_{number}" for number in range(MANY)]


class Nothing:
    """An attempt that is not on record."""

    def __init__(self, attempt_id):
        self.attempt_id = attempt_id


@pytest.mark.timeout(120)
def test_what_leaves_in_the_largest_batch_moves_to_the_new_day(ledger):
    started(ledger, 3)
    held = [one.attempt_id for one in take(ledger, [10, 20, 30]).held]
    tomorrow = DayCaps("2026-11-23", lambda _: caps("run-1", day=45, date="2026-11-23"))
    with ledger.write() as connection:
        staying = windows.move_to_today(connection, [*NAMES[:100], *held, *NAMES[100:]], tomorrow)
    assert staying == {held[2]}
    assert sorted(rows(ledger, AttemptRow, AttemptRow.budget_day)) == [
        ("2026-11-22",),
        ("2026-11-23",),
        ("2026-11-23",),
    ]


@pytest.mark.timeout(120)
def test_the_largest_batch_is_settled_in_one_transaction(ledger):
    started(ledger, 2)
    [first, last] = take(ledger, [10, 20]).held
    ends = [failed(first), *(failed(Nothing(name)) for name in NAMES), failed(last)]
    settle.settle_all(ledger, ends)
    assert budgets(ledger) == {"run": (0, 0), "day": (0, 0)}
