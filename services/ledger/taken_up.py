"""Taken up again: attempts whose job another attempt is at, or has answered. Only one answer of a job counts.

A job that is pinned to another model is another job: whichever of the two is answered, the other is not answered by it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select
from sqlalchemy.orm import aliased

from rules.identity import Made, same_job
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import LIVE_STATES
from services.ledger.pages import pages


def taken_up_again(connection: Connection, attempt_ids: Sequence[str]) -> dict[str, list[str]]:
    """Those of some attempts whose job another attempt is at, or has answered, each with these others.

    Of one that is in flight itself, nothing is said: its job was not sent again.

    Args:
        connection: the caller's transaction.
        attempt_ids: attempts that are closed, or in doubt.
    """
    found: dict[str, list[str]] = {}
    for page in pages(attempt_ids):
        for attempt_id, model, pin, other_id, other_model, other_pin in _others(connection, page):
            if same_job(Made(model, pin), Made(other_model, other_pin)):
                found.setdefault(attempt_id, []).append(other_id)
    return found


def _others(
    connection: Connection, page: Sequence[str]
) -> Sequence[tuple[str, str, str | None, str, str, str | None]]:
    """Attempts with every other one at the same payload of the same job id: of both the model, and the pin of the row."""
    other, row, its_row = aliased(AttemptRow), aliased(JobRow), aliased(JobRow)
    query = (
        select(
            AttemptRow.attempt_id,
            AttemptRow.model,
            row.pinned_model,
            other.attempt_id,
            other.model,
            its_row.pinned_model,
        )
        .join(
            other,
            and_(
                other.fingerprint == AttemptRow.fingerprint,
                other.job_id == AttemptRow.job_id,
                other.attempt_id != AttemptRow.attempt_id,
                other.state.in_(LIVE_STATES),
            ),
        )
        .outerjoin(row, and_(row.run_id == AttemptRow.run_id, row.row_number == AttemptRow.row_number))
        .outerjoin(its_row, and_(its_row.run_id == other.run_id, its_row.row_number == other.row_number))
        .where(AttemptRow.attempt_id.in_(page), AttemptRow.state.not_in(LIVE_STATES))
        .order_by(AttemptRow.attempt_id, other.attempt_id)
    )
    return connection.execute(query).tuples().all()
