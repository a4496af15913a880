"""How far the rows of a run have come, while it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import and_, case, func, select

from schemas.job import RunId
from schemas.ledger import JobRow
from services.ledger.jobs import QUEUED
from services.ledger.run_sums import rows_by_outcome
from services.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class RowsSoFar:
    """The rows of a run.

    Attributes:
        by_outcome: how many; the key None counts those that have none yet.
        unweighed: how many wait to be counted.
    """

    by_outcome: Mapping[str | None, int]
    unweighed: int

    @property
    def total(self) -> int:
        return sum(self.by_outcome.values())

    @property
    def ended(self) -> int:
        """Rows that have their outcome."""
        return self.total - self.by_outcome.get(None, 0)

    @property
    def weighed(self) -> int:
        """Rows that need no count any more, whatever became of them."""
        return self.total - self.unweighed


def rows_so_far(ledger: Ledger, run_id: RunId, *, unweighed: bool) -> RowsSoFar:
    """How far the rows of a run have come by now.

    Args:
        ledger: the ledger.
        run_id: the run.
        unweighed: whether those that wait to be counted are wanted, for which every row is looked at; otherwise none does.
    """
    if not unweighed:
        return RowsSoFar(rows_by_outcome(ledger, run_id), unweighed=0)
    waits = case((and_(*QUEUED, JobRow.model.is_(None)), 1), else_=0)
    query = (
        select(JobRow.outcome, func.count(), func.sum(waits))
        .where(JobRow.run_id == run_id)
        .group_by(JobRow.outcome)
    )
    with ledger.read() as connection:
        rows = connection.execute(query).all()
    return RowsSoFar({outcome: number for outcome, number, _ in rows}, sum(int(left) for *_, left in rows))
