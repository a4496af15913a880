"""Rows of a run that are not done with: another run takes them up, or somebody has to fix them."""

from collections.abc import Iterator

from sqlalchemy import or_, select

from schemas.job import RunId
from schemas.ledger import JobRow
from schemas.outcome import Outcome, Reason
from services.ledger.known_rejects import known_rejects
from services.ledger.store import Ledger

_LEFT = (Outcome.DEFERRED, Outcome.FAILED, Outcome.UNKNOWN)


def rows_left(ledger: Ledger, run_id: RunId) -> Iterator[int]:
    """The numbers of the rows that are not done with, streamed.

    Done with is what was answered, waits for a person, or was rejected by one; and a rejected row that an earlier run
    rejected just so.
    """
    known = known_rejects(ledger, run_id)
    rejected = (JobRow.outcome == Outcome.REJECTED) & JobRow.reason.is_distinct_from(
        Reason.REJECTED_BY_REVIEWER
    )
    query = (
        select(JobRow.row_number)
        .where(JobRow.run_id == run_id, or_(JobRow.outcome.is_(None), JobRow.outcome.in_(_LEFT), rejected))
        .order_by(JobRow.row_number)
    )
    with ledger.read() as connection:
        for number in connection.execution_options(yield_per=10_000).scalars(query):
            if number not in known:
                yield number
