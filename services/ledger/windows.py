"""Windows of money: what is held and settled of each, and what is free."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, select, text, tuple_, update

from schemas.budget import DayCaps, Window, WindowCap
from schemas.job import AttemptId
from schemas.ledger import AttemptRow, BudgetRow
from schemas.outcome import AttemptState, Scope
from services.ledger.pages import pages
from services.ledger.payers import payers_of, paying_groups
from services.ledger.store import Ledger, upsert

#: any constant: the PostgreSQL advisory lock that lets one money-moving transaction at a time through
_MONEY_LOCK = 7_190_416
#: what moving an attempt's hold from the windows of one day to those of another takes
OF_DAY = (
    AttemptRow.attempt_id,
    AttemptRow.run_id,
    AttemptRow.budget_day,
    AttemptRow.group_name,
    AttemptRow.split_jobs,
    AttemptRow.held_nano_usd,
)


class NoRoomToday(Exception):  # noqa: N818 - reads as what it is where it is caught
    """The day has changed since holds were taken, and the budgets of the new one have no room for some of them.

    Attributes:
        staying: the attempts that must not leave.
    """

    def __init__(self, staying: Collection[AttemptId]) -> None:
        super().__init__(f"no room today for {len(staying)} attempts")
        self.staying = frozenset(staying)


def one_at_a_time(connection: Connection) -> None:
    """Let no other transaction move money until this one ends, as SQLite does by itself.

    Two runs on different days share no window to wait at, and a row that joins an attempt must not miss its end.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MONEY_LOCK})


def open_windows(connection: Connection, caps: Sequence[WindowCap]) -> dict[Window, int]:
    """What is free in each capped window, in nano-USD, which nobody else changes until the transaction ends."""
    one_at_a_time(connection)
    opening = upsert(connection, BudgetRow)
    connection.execute(
        opening.on_conflict_do_update(
            index_elements=["scope", "period", "group_name"],
            set_={"cap_nano_usd": opening.excluded.cap_nano_usd},
        ),
        [_empty(cap.window, cap.nano_usd) for cap in caps],
    )
    taken = used(connection, [cap.window for cap in caps])
    return {
        cap.window: cap.nano_usd - cap.reserve - taken[cap.window] for cap in caps if cap.nano_usd is not None
    }


def put_on_record(connection: Connection, windows: Iterable[Window]) -> None:
    """Put windows that are not on record there, with nothing held or settled, and no cap until the next hold."""
    connection.execute(
        upsert(connection, BudgetRow).on_conflict_do_nothing(),
        [_empty(window, None) for window in sorted(windows)],
    )


def _empty(window: Window, cap: int | None) -> dict[str, Any]:
    """The columns of a window with nothing held or settled; `cap`: nano-USD, or None for no cap."""
    return {
        "scope": window.scope,
        "period": window.period,
        "group_name": window.group,
        "cap_nano_usd": cap,
        "held_nano_usd": 0,
        "settled_nano_usd": 0,
    }


def used(connection: Connection, windows: Iterable[Window]) -> dict[Window, int]:
    """Nano-USD settled and held in each of the windows that is on record."""
    key = (BudgetRow.scope, BudgetRow.period, BudgetRow.group_name)
    query = select(*key, BudgetRow.held_nano_usd + BudgetRow.settled_nano_usd).where(
        tuple_(*key).in_([tuple(window) for window in windows])
    )
    return {
        Window(Scope(scope), period, group): nano for scope, period, group, nano in connection.execute(query)
    }


def used_in_windows(ledger: Ledger, windows: Iterable[Window]) -> dict[Window, int]:
    """As `used`, in a transaction of its own."""
    with ledger.read() as connection:
        return used(connection, windows)


def move_day(
    connection: Connection, attempts: Sequence[AttemptId], day: str, caps: Sequence[WindowCap]
) -> list[AttemptId]:
    """Move what attempts hold to the day on which they leave, inside the caller's transaction.

    The money of an open attempt goes from the windows of the day, and the month, that its hold was taken on to those of
    the new day, and the attempt with it, where the new ones have room. Nobody else moves money until the transaction
    ends, so it is marked as leaving in the same one.

    Args:
        connection: the caller's transaction.
        attempts: that are about to leave, those that are to get room first.
        day: the budget day, as ISO 8601.
        caps: of that day, for all jobs and for every group of these attempts; see `rules.caps.caps_of`.

    Returns:
        Those that find no room, or whose group's windows are not among the caps: they stay as they are, and must not
        leave.
    """
    of_another_day = _held_on_another_day(connection, attempts, day)
    if not of_another_day:
        return []
    free = open_windows(connection, caps)
    opened = {cap.window for cap in caps}
    changes: Counter[Window] = Counter()
    staying: list[AttemptId] = []
    moved: list[AttemptId] = []
    payers = payers_of(connection, of_another_day)
    for row in of_another_day:
        bears = payers[row.attempt_id]
        before = bears.in_windows(row.run_id, row.budget_day, row.held_nano_usd)
        after = bears.in_windows(row.run_id, day, row.held_nano_usd)
        entered = {window: held for window, held in after.items() if window not in before}
        if not entered.keys() <= opened or any(
            free.get(window, held) < held for window, held in entered.items()
        ):
            staying.append(row.attempt_id)
            continue
        changes.update(entered)
        for window in entered.keys() & free.keys():
            free[window] -= entered[window]
        changes.subtract({window: held for window, held in before.items() if window not in after})
        moved.append(row.attempt_id)
    if moved:
        for page in pages(moved):
            of_page = AttemptRow.attempt_id.in_(page)
            connection.execute(update(AttemptRow).where(of_page).values(budget_day=day))
        add_to_windows(connection, {window: (held, 0) for window, held in changes.items()})
    return staying


def move_to_today(connection: Connection, attempts: Sequence[AttemptId], today: DayCaps) -> set[AttemptId]:
    """Move what attempts hold to the day on which they leave; see `move_day`.

    Returns:
        Those that today's windows have no room for: they must not leave.
    """
    groups = {
        group
        for page in pages(attempts)
        for _, group, _ in paying_groups(
            connection, AttemptRow.attempt_id.in_(page), AttemptRow.budget_day != today.day
        )
    }
    if not groups:
        return set()
    named = groups - {""}
    return set(move_day(connection, attempts, today.day, today.of_groups(named)))


def _held_on_another_day(connection: Connection, attempts: Sequence[AttemptId], day: str) -> list[Row[Any]]:
    """The open ones of these attempts whose hold was taken on another day, in the order given."""
    if not attempts:
        return []
    one_at_a_time(connection)
    held = (AttemptRow.state == AttemptState.OPEN, AttemptRow.budget_day != day)
    found = {
        row.attempt_id: row
        for page in pages(attempts)
        for row in connection.execute(select(*OF_DAY).where(AttemptRow.attempt_id.in_(page), *held))
    }
    return [found[attempt] for attempt in attempts if attempt in found]


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
