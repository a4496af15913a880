"""Answers that gave way: they were cut off at max_tokens, and a person approved that their jobs are sent again.

Only one attempt answers a job, so the answer gives way before the next attempt leaves. Where nothing comes of that one,
it is the answer again: else a job that was paid for would have none, and be paid for again once the approval has lapsed.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, select, update
from sqlalchemy.orm import aliased

from schemas.ledger import AttemptRow
from schemas.outcome import AttemptState
from services.ledger.pages import pages
from services.ledger.taken_up import taken_up_again

_GAVE_WAY = "its answer was cut off at max_tokens, and a person approved that the job is sent again"


def give_way(connection: Connection, attempt_ids: Sequence[str]) -> None:
    """Let answers give way to the attempts to come. Their cost and what came stay with them."""
    for page in pages(attempt_ids):
        connection.execute(
            update(AttemptRow)
            .where(AttemptRow.attempt_id.in_(page))
            .values(state=AttemptState.FAILED, error=_GAVE_WAY)
        )


def come_back(connection: Connection, unbilled: Sequence[str]) -> None:
    """Let answers count again that gave way to attempts of which nothing came.

    Args:
        connection: the caller's transaction.
        unbilled: attempts that have ended, surely without having been billed.
    """
    before = aliased(AttemptRow)
    gave_way = and_(
        before.job_id == AttemptRow.job_id,
        before.fingerprint == AttemptRow.fingerprint,
        before.state == AttemptState.FAILED,
        before.error == _GAVE_WAY,
    )
    for page in pages(unbilled):
        query = (
            select(before.attempt_id)
            .join(AttemptRow, gave_way)
            .where(AttemptRow.attempt_id.in_(page))
            .distinct()
        )
        found = sorted(connection.scalars(query))
        taken = taken_up_again(connection, found)
        again = [one for one in found if one not in taken]
        if again:
            connection.execute(
                update(AttemptRow)
                .where(AttemptRow.attempt_id.in_(again))
                .values(state=AttemptState.SUCCEEDED, error=None)
            )
