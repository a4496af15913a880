"""Read before: rows that an earlier run read in the same way, and that were answered, or parked by their figures.

A night that is started again finds most of its rows so. They are put on record from there, and neither checked nor
hashed again. Those that were answered the database copies by itself; those that were parked are weighed again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, insert, literal, select, update
from sqlalchemy.orm import aliased

from rules.endings import answered_before
from rules.waits_again import BY_FIGURES
from schemas.job import JobUpdate, KeptAnswers, QueuedJob, RunId, Shard
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.outcome import WAITING_STATUSES, Outcome
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from schemas.saving_tables import SharedAnswerRow
from schemas.usage import CUT_OFF
from services.ledger import counts
from services.ledger.jobs import QUEUED_COLUMNS, queued
from services.ledger.outcomes import ending_columns
from services.ledger.pages import pages
from services.ledger.store import Ledger
from services.ledger.written_out import SUCCEEDED

#: what a row says, whichever run reads it
_AS_READ = (
    "row_number", "job_id", "fingerprint", "group_name", "priority", "pinned_model", "max_tokens", "own_max_input_tokens",
    "own_max_cost_nano_usd", "cache_ttl", "traits", "payload_bytes", "kept", "attempt_id",
)  # fmt: skip
_OF_QUEUED = {column.key for column in QUEUED_COLUMNS}


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


@dataclass(frozen=True, slots=True)
class ParkedBefore:
    """A row that an earlier run parked by its figures.

    Attributes:
        job: the row as it is queued once it is read.
        as_read: what else is on record of it.
        counted: its input tokens by model.
    """

    job: QueuedJob
    as_read: Mapping[str, Any]
    counted: Mapping[str, int]


def payloads_of_several(ledger: Ledger, before: RunId, rows: int) -> set[str] | None:
    """The payloads that a parked row of a run has in common with another one; None: not all of its rows are on record.

    Args:
        ledger: the ledger.
        before: the run.
        rows: how many it has.
    """
    of_run = JobRow.run_id == before
    is_parked = func.sum(case((JobRow.outcome == Outcome.REVIEW, 1), else_=0)) > 0
    several = (
        select(JobRow.fingerprint)
        .where(of_run, JobRow.fingerprint.is_not(None))
        .group_by(JobRow.fingerprint)
        .having(func.count() > 1, is_parked)
    )
    with ledger.read() as connection:
        if connection.scalar(select(func.count()).select_from(JobRow).where(of_run)) != rows:
            return None
        return set(connection.scalars(several))


def parked_before(
    ledger: Ledger, run_id: RunId, before: RunId, rows: Shard, shared: Collection[str]
) -> list[ParkedBefore]:
    """The rows that were parked in an earlier run by their figures, which alone decide about them again.

    Left out is whatever anything else on record has a say in: an attempt, a decision or an edit, another review, or
    another row with the same id or payload.

    Args:
        ledger: the ledger.
        run_id: the run that reads them.
        before: a run that read the same rows in the same way.
        rows: which of them.
        shared: payloads that stand in several of its rows.
    """
    more = [getattr(JobRow, name) for name in _AS_READ if name not in _OF_QUEUED]
    query = select(*QUEUED_COLUMNS, *more).where(
        JobRow.row_number.between(rows.first, rows.last), *_parked_alone(run_id, before)
    )
    with ledger.read() as connection:
        found = [row for row in connection.execute(query) if row.fingerprint not in shared]
    return list(_with_counts(ledger, found))


def _with_counts(ledger: Ledger, rows: Sequence[Any]) -> Iterable[ParkedBefore]:
    for page in pages(rows):
        counted = counts.known(ledger, [row.fingerprint for row in page])
        for row in page:
            as_read = {name: getattr(row, name) for name in _AS_READ}
            job = replace(queued(row), model=None, input_tokens=None, method=None, prefix_key=None)
            yield ParkedBefore(job, as_read, counted.get(job.fingerprint, {}))


def _parked_alone(run_id: RunId, before: RunId) -> tuple[ColumnElement[bool], ...]:
    """Conditions on rows of an earlier run: parked by their figures, still waiting, and nothing else is about them."""
    twin, here, review, other = aliased(JobRow), aliased(JobRow), aliased(ReviewRow), aliased(ReviewRow)
    waits = exists().where(
        review.job_id == JobRow.job_id,
        review.fingerprint == JobRow.fingerprint,
        review.status.in_(WAITING_STATUSES),
        review.reason.in_(BY_FIGURES),
        review.edited_fingerprint.is_(None),
        ReviewPayloadRow.review_id == review.id,
        ReviewPayloadRow.payload.is_not(None),
    )
    return (
        JobRow.run_id == before,
        JobRow.outcome == Outcome.REVIEW,
        JobRow.reason.in_(BY_FIGURES),
        JobRow.model.is_not(None),
        JobRow.attempt_id.is_(None),
        JobRow.review_id.is_(None),
        JobRow.shares_with_row.is_(None),
        waits,
        ~exists().where(other.job_id == JobRow.job_id, other.fingerprint != JobRow.fingerprint),
        ~exists().where(other.fingerprint == JobRow.fingerprint, other.job_id != JobRow.job_id),
        ~exists().where(AttemptRow.fingerprint == JobRow.fingerprint),
        ~exists().where(AttemptRow.job_id == JobRow.job_id, SUCCEEDED),
        ~exists().where(
            SharedAnswerRow.job_id == JobRow.job_id, SharedAnswerRow.fingerprint == JobRow.fingerprint
        ),
        ~exists().where(
            twin.run_id == before, twin.job_id == JobRow.job_id, twin.row_number != JobRow.row_number
        ),
        ~exists().where(here.run_id == run_id, here.job_id == JobRow.job_id),
    )


def park_again(ledger: Ledger, run_id: RunId, parked: Iterable[tuple[ParkedBefore, JobUpdate]]) -> set[int]:
    """Put rows on record that wait again, in one transaction; their numbers. What they would send stays with their reviews.

    Args:
        ledger: the ledger.
        run_id: the run.
        parked: each with its figures and its ending.
    """
    values = [
        {
            "run_id": run_id,
            **one.as_read,
            "model": update.model,
            "input_tokens": update.input_tokens,
            "method": update.method,
            "expected_nano_usd": update.expected,
            "worst_case_nano_usd": update.worst_case,
            **ending_columns(update.ending),
        }
        for one, update in parked
    ]
    if values:
        with ledger.write() as connection:
            connection.execute(insert(JobRow), values)
    return {row["row_number"] for row in values}
