"""Verifying the windows of money: what each of them holds and has settled, summed from the attempts."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, literal, literal_column, select, union_all

from rules.compare_windows import WindowDifference, window_faults
from rules.verdict import Examples, Fact, verdict
from schemas.budget import Window
from schemas.ledger import AttemptRow, BudgetRow, HistoryRow
from schemas.outcome import Scope
from schemas.saving_tables import CostShareRow
from schemas.verification import CheckFinding
from services.ledger.payers import share_in_sql
from services.ledger.verify_rows import RESTORE

_PERIODS = {
    Scope.RUN: AttemptRow.run_id,
    Scope.DAY: AttemptRow.budget_day,
    Scope.MONTH: func.substr(AttemptRow.budget_day, literal_column("1"), literal_column("7")),
    Scope.DEADLINE: AttemptRow.deadline,
}
#: whose windows are of each group too
_OF_GROUPS = (Scope.RUN, Scope.DAY, Scope.MONTH)


def check_windows(connection: Connection) -> CheckFinding:
    """What each window holds and has settled is the sum over its attempts, pruned ones included."""
    faults = window_faults(_differences(connection), _pruned(connection))
    return verdict(
        "windows",
        "what every budget holds and has settled is the sum over its attempts",
        [
            Fact("budgets that hold another sum than their attempts", _named(faults.held), RESTORE),
            Fact(
                "budgets that have settled another sum than their attempts", _named(faults.settled), RESTORE
            ),
        ],
    )


def _differences(connection: Connection) -> Iterator[WindowDifference]:
    """Each window that differs from the sums over its attempts, be it that there is no such window."""
    both = union_all(
        select(
            BudgetRow.scope,
            BudgetRow.period,
            BudgetRow.group_name,
            BudgetRow.held_nano_usd.label("held"),
            BudgetRow.settled_nano_usd.label("settled"),
        ),
        *(_sums(scope, by_group=False) for scope in Scope),
        *(_sums(scope, by_group=True) for scope in _OF_GROUPS),
        *(_split_sums(scope) for scope in _OF_GROUPS),
    ).subquery()
    held, settled = func.sum(both.c.held), func.sum(both.c.settled)
    key = (both.c.scope, both.c.period, both.c.group_name)
    query = select(*key, held, settled).group_by(*key).having((held != 0) | (settled != 0)).order_by(*key)
    for scope, period, group, more_held, more_settled in connection.execute(query):
        window = Window(Scope(scope), period, group)
        yield WindowDifference(window, int(more_held), int(more_settled))


def _sums(scope: Scope, *, by_group: bool) -> Select[Any]:
    """What attempts hold and have settled, to be taken off their windows: of all jobs, or of each group."""
    period = _PERIODS[scope]
    group: Any = AttemptRow.group_name if by_group else literal("")
    query = select(
        literal(scope.value),
        period,
        group,
        -func.sum(AttemptRow.held_nano_usd),
        -func.coalesce(func.sum(AttemptRow.actual_nano_usd), 0),
    ).where(period.is_not(None))
    if by_group:
        own_alone = AttemptRow.split_jobs.is_(None)
        return query.where(
            AttemptRow.group_name.is_not(None), AttemptRow.group_name != "", own_alone
        ).group_by(period, AttemptRow.group_name)
    return query.group_by(period)


def _split_sums(scope: Scope) -> Select[Any]:
    """What falls on each group of attempts whose cost is split over groups, to be taken off their windows."""
    period = _PERIODS[scope]
    settled = func.coalesce(AttemptRow.actual_nano_usd, 0)
    return (
        select(
            literal(scope.value),
            period,
            CostShareRow.group_name,
            -func.sum(share_in_sql(AttemptRow.held_nano_usd)),
            -func.sum(share_in_sql(settled)),
        )
        .join(CostShareRow, CostShareRow.attempt_id == AttemptRow.attempt_id)
        .where(CostShareRow.group_name != "", AttemptRow.split_jobs.is_not(None))
        .group_by(period, CostShareRow.group_name)
    )


def _pruned(connection: Connection) -> dict[str, int]:
    """Nano-USD of pruned attempts by group; "" are those of all attempts."""
    query = select(HistoryRow.group_name, func.sum(HistoryRow.actual_nano_usd)).group_by(
        HistoryRow.group_name
    )
    by_group = {group: int(amount) for group, amount in connection.execute(query)}
    return {**by_group, "": sum(by_group.values())} if by_group else {}


def _named(windows: Sequence[Window]) -> Examples:
    names = [
        f"{window.scope} {window.period}" + (f" of {window.group}" if window.group else "")
        for window in windows[:3]
    ]
    return Examples(len(windows), tuple(names))
