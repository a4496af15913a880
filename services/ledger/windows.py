"""Windows of money: what is held and settled of each, and what is free."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas.ledger import BudgetRow
from schemas.money import NanoUsd
from schemas.outcome import Reason

#: one row of `budgets`: the scope ("run", "day") and its period (the run id, the date)
Window = tuple[str, str]
#: any constant: the PostgreSQL advisory lock that lets one money-moving transaction at a time through
_MONEY_LOCK = 7_190_416


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that may be held and settled in a window, in nano-USD; None: no cap, only kept count of."""

    window: Window
    nano_usd: NanoUsd | None
    reason: Reason


def windows_of(run_id: str, budget_day: str) -> tuple[Window, Window]:
    """The windows an attempt's money falls under."""
    return (("run", run_id), ("day", budget_day))


def one_at_a_time(connection: Connection) -> None:
    """Let no other transaction move money until this one ends, as SQLite does by itself.

    Two runs on different days share no window to wait at, and a row that joins an attempt must not miss its end.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MONEY_LOCK})


def open_windows(connection: Connection, caps: Sequence[Cap]) -> dict[Window, int]:
    """What is free in each capped window, which nobody else changes until the transaction ends."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    one_at_a_time(connection)
    free: dict[Window, int] = {}
    for cap in caps:
        scope, period = cap.window
        connection.execute(
            dialect.insert(BudgetRow)
            .values(
                scope=scope, period=period, cap_nano_usd=cap.nano_usd, held_nano_usd=0, settled_nano_usd=0
            )
            .on_conflict_do_update(
                index_elements=["scope", "period", "group_name"], set_={"cap_nano_usd": cap.nano_usd}
            )
        )
        used = connection.scalar(
            select(BudgetRow.held_nano_usd + BudgetRow.settled_nano_usd).where(
                BudgetRow.scope == scope, BudgetRow.period == period
            )
        )
        if cap.nano_usd is not None:
            free[cap.window] = cap.nano_usd - (used or 0)
    return free


def move(connection: Connection, changes: dict[Window, tuple[int, int]]) -> None:
    """Add to the held and settled sums of windows."""
    connection.execute(
        update(BudgetRow)
        .where(BudgetRow.scope == bindparam("r_scope"), BudgetRow.period == bindparam("r_period"))
        .values(
            held_nano_usd=BudgetRow.held_nano_usd + bindparam("v_held"),
            settled_nano_usd=BudgetRow.settled_nano_usd + bindparam("v_settled"),
        ),
        [
            {"r_scope": scope, "r_period": period, "v_held": held, "v_settled": settled}
            for (scope, period), (held, settled) in sorted(changes.items())
        ],
    )
