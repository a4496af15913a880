"""What the jobs of a run need that were deferred for want of money."""

from sqlalchemy import func, select

from rules.raise_caps import DeferredSum
from schemas.job import RunId
from schemas.ledger import JobRow
from schemas.outcome import MONEY_REASONS, Outcome
from services.ledger.store import Ledger


def deferred_sums(ledger: Ledger, run_id: RunId) -> list[DeferredSum]:
    """The jobs of a run that were deferred for want of money, by group and reason."""
    group = func.coalesce(JobRow.group_name, "")
    priced = func.count(JobRow.worst_case_nano_usd)
    query = (
        select(
            group,
            JobRow.reason,
            func.count(),
            func.count() - priced,
            func.coalesce(func.sum(JobRow.expected_nano_usd), 0),
            func.coalesce(func.sum(JobRow.worst_case_nano_usd), 0),
            func.coalesce(func.max(JobRow.worst_case_nano_usd - JobRow.expected_nano_usd), 0),
        )
        .where(
            JobRow.run_id == run_id,
            JobRow.outcome == Outcome.DEFERRED,
            JobRow.reason.in_(MONEY_REASONS),
        )
        .group_by(group, JobRow.reason)
        .order_by(group, JobRow.reason)
    )
    with ledger.read() as connection:
        return [
            DeferredSum(name, reason or "", *map(int, amounts))
            for name, reason, *amounts in connection.execute(query)
        ]
