"""Windows of money: what is held and settled of each, and what is free."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas.budget import Window, WindowCap
from schemas.ledger import BudgetRow
from schemas.outcome import Scope

#: any constant: the PostgreSQL advisory lock that lets one money-moving transaction at a time through
_MONEY_LOCK = 7_190_416


def one_at_a_time(connection: Connection) -> None:
    """Let no other transaction move money until this one ends, as SQLite does by itself.

    Two runs on different days share no window to wait at, and a row that joins an attempt must not miss its end.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MONEY_LOCK})


def open_windows(connection: Connection, caps: Sequence[WindowCap]) -> dict[Window, int]:
    """What is free in each capped window, in nano-USD, which nobody else changes until the transaction ends."""
    one_at_a_time(connection)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    opening = dialect.insert(BudgetRow)
    connection.execute(
        opening.on_conflict_do_update(
            index_elements=["scope", "period", "group_name"],
            set_={"cap_nano_usd": opening.excluded.cap_nano_usd},
        ),
        [
            {
                "scope": cap.window.scope,
                "period": cap.window.period,
                "group_name": cap.window.group,
                "cap_nano_usd": cap.nano_usd,
                "held_nano_usd": 0,
                "settled_nano_usd": 0,
            }
            for cap in caps
        ],
    )
    used = _used(connection, [cap.window for cap in caps])
    return {
        cap.window: cap.nano_usd - cap.reserve - used[cap.window] for cap in caps if cap.nano_usd is not None
    }


def _used(connection: Connection, windows: Iterable[Window]) -> dict[Window, int]:
    key = (BudgetRow.scope, BudgetRow.period, BudgetRow.group_name)
    query = select(*key, BudgetRow.held_nano_usd + BudgetRow.settled_nano_usd).where(
        tuple_(*key).in_([tuple(window) for window in windows])
    )
    return {
        Window(Scope(scope), period, group): used for scope, period, group, used in connection.execute(query)
    }


def add_to_windows(connection: Connection, changes: Mapping[Window, tuple[int, int]]) -> None:
    """Add to the held and settled sums of windows."""
    connection.execute(
        update(BudgetRow)
        .where(
            BudgetRow.scope == bindparam("r_scope"),
            BudgetRow.period == bindparam("r_period"),
            BudgetRow.group_name == bindparam("r_group"),
        )
        .values(
            held_nano_usd=BudgetRow.held_nano_usd + bindparam("v_held"),
            settled_nano_usd=BudgetRow.settled_nano_usd + bindparam("v_settled"),
        ),
        [
            {
                "r_scope": window.scope,
                "r_period": window.period,
                "r_group": window.group,
                "v_held": held,
                "v_settled": settled,
            }
            for window, (held, settled) in sorted(changes.items())
        ],
    )
