"""Rejected rows that an earlier run rejected and reported already, just as they are now."""

from datetime import datetime

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import aliased

from schemas.job import RunId
from schemas.ledger import JobRow, RunRow
from schemas.outcome import Reason
from services.ledger.store import Ledger


def known_rejects(ledger: Ledger, run_id: RunId) -> dict[int, datetime]:
    """The rejected rows of a run that were known before it, by number, each with the start of the first run that had it.

    A row is known that has the same id and the same content. Those that a reviewer rejected are not among them: a person
    has decided, and nothing is to be fixed.
    """
    earlier, this_run, other_run = aliased(JobRow), aliased(RunRow), aliased(RunRow)
    query = (
        select(JobRow.row_number, func.min(other_run.started_at))
        .join(this_run, this_run.run_id == JobRow.run_id)
        .join(
            earlier,
            # written out, because a database uses an index of some rows only for a condition that it can read
            (earlier.fingerprint == JobRow.fingerprint)
            & earlier.fingerprint.is_not(None)
            & (earlier.outcome == literal_column("'rejected'"))
            & earlier.job_id.is_not_distinct_from(JobRow.job_id)
            & (earlier.reason != Reason.REJECTED_BY_REVIEWER),
        )
        .join(other_run, other_run.run_id == earlier.run_id)
        .where(
            JobRow.run_id == run_id,
            JobRow.outcome == literal_column("'rejected'"),
            JobRow.reason != Reason.REJECTED_BY_REVIEWER,
            other_run.run_id != run_id,
            other_run.started_at < this_run.started_at,
            # one that was killed has informed nobody
            other_run.report.is_not(None),
        )
        .group_by(JobRow.row_number)
    )
    with ledger.read() as connection:
        return {number: since for number, since in connection.execute(query)}  # noqa: C416 - a Row is no tuple
