"""Taken up again: attempts whose job another attempt is at, or has answered. Only one answer of a job counts.

A job that is pinned to another model is another job: whichever of the two is answered, the other is not answered by it.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Select, and_, select
from sqlalchemy.orm import aliased

from rules.identity import Made, same_job
from schemas.ledger import AttemptRow, JobRow
from schemas.outcome import LIVE_STATES
from services.ledger.pages import pages

#: another attempt at the same payload of the same job id, and the rows that the two were made for
OTHER, _ROW, _ITS_ROW = aliased(AttemptRow), aliased(JobRow), aliased(JobRow)
#: what the two of a pair were made with, as `same_job` compares it
MADE = (AttemptRow.model, _ROW.pinned_model, OTHER.model, _ITS_ROW.pinned_model)
#: of a row that was pruned, nobody knows whether it was pinned
ROWS_ARE_THERE = and_(_ROW.run_id.is_not(None), _ITS_ROW.run_id.is_not(None))


def attempt_pairs() -> Select[tuple[str, str | None, str, str | None]]:
    """`MADE` of attempts, each with every other one at the same payload of the same job id."""
    return (
        select(*MADE)
        .join(
            OTHER,
            and_(
                OTHER.fingerprint == AttemptRow.fingerprint,
                OTHER.job_id == AttemptRow.job_id,
                OTHER.attempt_id != AttemptRow.attempt_id,
            ),
        )
        .outerjoin(_ROW, and_(_ROW.run_id == AttemptRow.run_id, _ROW.row_number == AttemptRow.row_number))
        .outerjoin(_ITS_ROW, and_(_ITS_ROW.run_id == OTHER.run_id, _ITS_ROW.row_number == OTHER.row_number))
    )


def taken_up_again(connection: Connection, attempt_ids: Sequence[str]) -> dict[str, list[str]]:
    """Those of some attempts whose job another attempt is at, or has answered, each with these others.

    Of one that is in flight itself, nothing is said: its job was not sent again.

    Args:
        connection: the caller's transaction.
        attempt_ids: attempts that are closed, or in doubt.
    """
    found: dict[str, list[str]] = {}
    for page in pages(attempt_ids):
        query = (
            attempt_pairs()
            .add_columns(AttemptRow.attempt_id, OTHER.attempt_id)
            .where(
                AttemptRow.attempt_id.in_(page),
                AttemptRow.state.not_in(LIVE_STATES),
                OTHER.state.in_(LIVE_STATES),
            )
            .order_by(AttemptRow.attempt_id, OTHER.attempt_id)
        )
        for model, pin, its_model, its_pin, attempt_id, its_id in connection.execute(query):
            if same_job(Made(model, pin), Made(its_model, its_pin)):
                found.setdefault(attempt_id, []).append(its_id)
    return found
