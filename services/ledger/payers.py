"""Payers on record: the groups that the cost of an attempt is split over, because their jobs share its answer."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, func, insert, select

from schemas.budget import Payers
from schemas.job import RunId
from schemas.ledger import AttemptRow, JobRow
from schemas.saving_tables import CostShareRow
from services.ledger.pages import pages
from services.ledger.store import Ledger


def sharing_payers(ledger: Ledger, run_id: RunId, rows: Sequence[int]) -> dict[int, Payers]:
    """The payers of rows that are to be sent, by row, for those whose answer undecided rows of the run share.

    Args:
        ledger: the ledger.
        run_id: the run.
        rows: row numbers.
    """
    found: dict[int, dict[str, int]] = {}
    first: dict[int, str] = {}
    group = func.coalesce(JobRow.group_name, "")
    with ledger.read() as connection:
        for page in pages(rows):
            sharers = select(JobRow.shares_with_row, group, func.count()).where(
                JobRow.run_id == run_id, JobRow.shares_with_row.in_(page), JobRow.outcome.is_(None)
            )
            for row, name, jobs in connection.execute(sharers.group_by(JobRow.shares_with_row, group)):
                found.setdefault(row, {})[name] = jobs
            own = select(JobRow.row_number, group).where(JobRow.run_id == run_id, JobRow.row_number.in_(page))
            first |= {row: name for row, name in connection.execute(own) if row in found}
    for row, name in first.items():
        found[row][name] = found[row].get(name, 0) + 1
    return {row: Payers(first[row], groups) for row, groups in found.items()}


def put_on_record(connection: Connection, splits: Mapping[str, Payers]) -> None:
    """Write down whom the cost of attempts is split over."""
    values = [
        {"attempt_id": attempt_id, "group_name": group, "jobs": jobs}
        for attempt_id, payers in splits.items()
        for group, jobs in payers.groups.items()
    ]
    if values:
        connection.execute(insert(CostShareRow), values)


def payers_of(connection: Connection, attempts: Collection[Row[Any]]) -> dict[str, Payers]:
    """The payers of attempts, by attempt.

    Args:
        connection: the caller's transaction.
        attempts: rows with attempt_id, group_name and split_jobs.
    """
    payers = {row.attempt_id: Payers.alone(row.group_name) for row in attempts}
    split = [row.attempt_id for row in attempts if row.split_jobs is not None]
    groups: dict[str, dict[str, int]] = {}
    for page in pages(split):
        query = select(CostShareRow.attempt_id, CostShareRow.group_name, CostShareRow.jobs).where(
            CostShareRow.attempt_id.in_(page)
        )
        for attempt_id, group, jobs in connection.execute(query):
            groups.setdefault(attempt_id, {})[group] = jobs
    return payers | {one: Payers(payers[one].first, shares) for one, shares in groups.items()}


def paying_groups(connection: Connection, *which: ColumnElement[bool]) -> set[tuple[str, str, str | None]]:
    """The budget days, groups ("" without one) and deadlines that attempts fall under.

    Args:
        connection: the caller's transaction.
        which: conditions on the attempts.
    """
    query = (
        select(
            AttemptRow.budget_day,
            func.coalesce(CostShareRow.group_name, AttemptRow.group_name, ""),
            AttemptRow.deadline,
        )
        .outerjoin(CostShareRow, CostShareRow.attempt_id == AttemptRow.attempt_id)
        .where(*which)
        .distinct()
    )
    return {(day, group, deadline) for day, group, deadline in connection.execute(query)}


def share_in_sql(amount: Any) -> ColumnElement[int]:
    """What of an amount of a split attempt falls on the group of a row of `cost_shares`, as `Payers.share` has it."""
    is_first = CostShareRow.group_name == func.coalesce(AttemptRow.group_name, "")
    each = CostShareRow.jobs * (amount // AttemptRow.split_jobs)
    share: ColumnElement[int] = each + case((is_first, amount % AttemptRow.split_jobs), else_=0)
    return share
