"""Read before: rows that an earlier run read in the same way, and that were answered.

A night that is started again finds most of its rows so. They are put on record by the database alone, and neither
checked nor hashed again.
"""

from typing import Any

from sqlalchemy import Select, exists, func, insert, literal, select, update
from sqlalchemy.orm import aliased

from rules.endings import answered_before
from schemas.job import KeptAnswers, RunId, Shard
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.outcome import Outcome
from schemas.review_tables import ReviewRow
from schemas.usage import CUT_OFF
from services.ledger.outcomes import ending_columns
from services.ledger.store import Ledger
from services.ledger.written_out import SUCCEEDED

#: what a row says, whichever run reads it
_AS_READ = (
    "row_number", "job_id", "fingerprint", "group_name", "priority", "pinned_model", "max_tokens", "own_max_input_tokens",
    "own_max_cost_nano_usd", "cache_ttl", "traits", "payload_bytes", "kept", "attempt_id",
)  # fmt: skip


def begin_reading(ledger: Ledger, run_id: RunId, digest: str) -> RunId | None:
    """Put on record what a run reads; the run that read most of the same before, the latest of them, if one did.

    Args:
        ledger: the ledger.
        run_id: the run.
        digest: of what it reads; see `rules.reading_digest`.
    """
    rows = select(func.max(JobRow.row_number)).where(JobRow.run_id == RunRow.run_id).scalar_subquery()
    query = (
        select(RunRow.run_id)
        .where(RunRow.reading_digest == digest, RunRow.run_id != run_id, rows.is_not(None))
        .order_by(rows.desc(), RunRow.started_at.desc())
        .limit(1)
    )
    with ledger.write() as connection:
        connection.execute(update(RunRow).where(RunRow.run_id == run_id).values(reading_digest=digest))
        before = connection.scalar(query)
    return None if before is None else RunId(before)


def copy_answered(
    ledger: Ledger, run_id: RunId, before: RunId, rows: Shard, serving: KeptAnswers
) -> set[int]:
    """Put the rows on record that were answered in an earlier run, in one transaction; their numbers.

    They end as they would if they were read: their answer serves them and nothing is paid. Left out is whatever more
    than one thing on record has a say in: other answers to the job, a review of it, another row with its id.

    Args:
        ledger: the ledger.
        run_id: the run.
        before: a run that read the same rows in the same way.
        rows: which of them.
        serving: which answers do.
    """
    ending = ending_columns(answered_before())
    answered = _answered(run_id, before, rows, serving)
    query = answered.with_only_columns(
        literal(run_id),
        *(getattr(JobRow, name) for name in _AS_READ),
        *(literal(value) for value in ending.values()),
    )
    copying = insert(JobRow).from_select(["run_id", *_AS_READ, *ending], query, include_defaults=False)
    with ledger.write() as connection:
        return set(connection.scalars(copying.returning(JobRow.row_number)))


def _answered(run_id: RunId, before: RunId, rows: Shard, serving: KeptAnswers) -> Select[Any]:
    """The rows of a run that their own answer alone decides about."""
    other, here = aliased(AttemptRow), aliased(JobRow)
    query = (
        select(JobRow.row_number)
        .join(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(
            JobRow.run_id == before,
            JobRow.row_number.between(rows.first, rows.last),
            JobRow.outcome == Outcome.SUCCEEDED,
            SUCCEEDED,
            AttemptRow.job_id == JobRow.job_id,
            AttemptRow.fingerprint == JobRow.fingerprint,
            ~exists().where(
                other.fingerprint == JobRow.fingerprint,
                other.job_id == JobRow.job_id,
                other.attempt_id != JobRow.attempt_id,
            ),
            ~exists().where(ReviewRow.job_id == JobRow.job_id),
            ~exists().where(here.run_id == run_id, here.job_id == JobRow.job_id),
        )
    )
    if serving.whole:
        query = query.where(AttemptRow.stop_reason.is_distinct_from(CUT_OFF))
    return query
