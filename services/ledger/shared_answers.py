"""Shared answers: of the rows of a run with the same payload one is sent, and the others get what it gets.

The one that is sent is their representative. Who shares is neither counted nor sent, and is not parked: what a person
decides about the representative holds for all, since each later run shares again.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, exists, func, or_, select, update
from sqlalchemy.orm import aliased

from schemas.job import RunId
from schemas.ledger import AttemptRow, JobRow, ResponseRow
from schemas.outcome import UNSETTLED_STATES, AttemptState, Outcome
from schemas.review_tables import ReviewRow
from schemas.saving_tables import SharedAnswerRow
from services.ledger.jobs import QUEUED
from services.ledger.store import Ledger, upsert

#: what a row that shares has of its representative, once that has ended
_ENDING = ("decision", "outcome", "reason", "detail", "attempt_id")


def mark_sharers(
    ledger: Ledger, run_id: RunId, *, same_group: bool = False, same_limits: bool = False
) -> int:
    """Take every queued row whose payload stands in another row of the run out of the queue; how many.

    The representative is the row of highest priority, then the lowest row; but first one that an earlier answer or a
    person has ended, or lets pass, and then one with an attempt of an earlier run, which must not be paid for again.
    Under an edit, the edit is the answer to the payload that was edited. A row goes its own way that has an attempt of
    its own in flight or in doubt.

    Args:
        ledger: the ledger.
        run_id: the run, all of whose rows are read.
        same_group: rows share only with rows of the same group.
        same_limits: rows share only with rows that have the same limits of their own: what is sent hangs on them.
    """
    also: list[Any] = [JobRow.group_name] if same_group else []
    if same_limits:
        also += [JobRow.own_max_input_tokens, JobRow.own_max_cost_nano_usd]
    ranked = _ranked(run_id, also).subquery("ranked")
    # under another edit of the same payload, something else is sent
    its_own = aliased(JobRow)
    its_fingerprint = (
        select(its_own.fingerprint)
        .where(its_own.run_id == run_id, its_own.row_number == ranked.c.representative)
        .scalar_subquery()
    )
    may_share = or_(JobRow.review_id.is_(None), JobRow.fingerprint == its_fingerprint)
    with ledger.write() as connection:
        marked = connection.execute(
            update(JobRow)
            .where(
                JobRow.run_id == run_id,
                JobRow.row_number == ranked.c.row_number,
                ranked.c.row_number != ranked.c.representative,
                *QUEUED,
                may_share,
                ~_has_own_attempt(JobRow),
            )
            .values(shares_with_row=ranked.c.representative)
            .execution_options(synchronize_session=False)
        )
        return marked.rowcount


def _ranked(run_id: RunId, also: Sequence[Any]) -> Select[Any]:
    """The rows whose payload stands in several rows, each with its representative.

    Args:
        run_id: the run.
        also: what else must be the same, besides the payload and the pinned model.
    """
    asked = func.coalesce(ReviewRow.fingerprint, JobRow.fingerprint)
    answered = exists().where(ResponseRow.attempt_id == JobRow.attempt_id)
    can_lead = or_(JobRow.outcome.is_(None), JobRow.outcome != Outcome.SUCCEEDED, answered)
    of_run = and_(JobRow.run_id == run_id, JobRow.fingerprint.is_not(None))
    under_review = ReviewRow.id == JobRow.review_id
    # most payloads stand once: only the others are ranked
    repeated = (
        select(asked)
        .select_from(JobRow)
        .outerjoin(ReviewRow, under_review)
        .where(of_run)
        .group_by(asked)
        .having(func.count() > 1)
    )
    rank = case(
        (JobRow.outcome == Outcome.SUCCEEDED, 0),
        (JobRow.review_id.is_not(None), 1),
        (JobRow.outcome.is_not(None), 2),
        (_has_own_attempt(JobRow), 3),
        else_=4,
    )
    representative = func.first_value(JobRow.row_number).over(
        partition_by=[asked, JobRow.pinned_model, *also],
        order_by=(rank, JobRow.priority.desc(), JobRow.row_number),
    )
    return (
        select(JobRow.row_number, representative.label("representative"))
        .outerjoin(ReviewRow, under_review)
        .where(of_run, can_lead, asked.in_(repeated))
    )


def _has_own_attempt(job: Any) -> ColumnElement[bool]:
    """Whether the job itself has an attempt with its payload that is in flight, was answered, or may have been billed."""
    serves = or_(job.pinned_model.is_(None), AttemptRow.model == job.pinned_model)
    return exists().where(
        AttemptRow.fingerprint == job.fingerprint,
        AttemptRow.job_id == job.job_id,
        or_(AttemptRow.state.in_(UNSETTLED_STATES), and_(AttemptRow.state == AttemptState.SUCCEEDED, serves)),
    )


def end_sharers(connection: Connection, run_id: str) -> int:
    """Give every undecided row that shares the ending of its representative, if that has ended; how many got one."""
    representative = aliased(JobRow)
    ended = connection.execute(
        update(JobRow)
        .where(
            JobRow.run_id == run_id,
            JobRow.shares_with_row.is_not(None),
            JobRow.outcome.is_(None),
            representative.run_id == run_id,
            representative.row_number == JobRow.shares_with_row,
            representative.outcome.is_not(None),
        )
        .values({name: getattr(representative, name) for name in _ENDING})
        .execution_options(synchronize_session=False)
    )
    return ended.rowcount


def end_all(ledger: Ledger, run_id: RunId) -> int:
    """As `end_sharers`, in a transaction of its own."""
    with ledger.write() as connection:
        return end_sharers(connection, run_id)


def sharers_of(ledger: Ledger, run_id: str, row_number: int, job_id: str) -> int:
    """How many other rows of a run get the answer of this row, if it is this job's.

    Args:
        ledger: the ledger.
        run_id: the run.
        row_number: the row that would be sent.
        job_id: its job: a number alone could be another job's, where the file was read again.
    """
    representative = aliased(JobRow)
    query = (
        select(func.count())
        .select_from(JobRow)
        .join(
            representative,
            and_(
                representative.run_id == JobRow.run_id,
                representative.row_number == JobRow.shares_with_row,
            ),
        )
        .where(JobRow.run_id == run_id, JobRow.shares_with_row == row_number, representative.job_id == job_id)
    )
    with ledger.read() as connection:
        return int(connection.scalar(query) or 0)


#: of a row with the attempt that answered it: its job is another one's
_IS_OF_ANOTHER = AttemptRow.job_id != JobRow.job_id


def _answered_by_others(run_id: str, *columns: Any) -> Select[Any]:
    """Columns of the rows of a run that succeeded by the answer to another job, each with that attempt."""
    return (
        select(*columns)
        .select_from(JobRow)
        .join(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome == Outcome.SUCCEEDED, _IS_OF_ANOTHER)
    )


def remember(connection: Connection, run_id: str) -> None:
    """Put on record which jobs of a run the attempts of others answered."""
    shared = _answered_by_others(run_id, JobRow.job_id, JobRow.fingerprint, JobRow.attempt_id).distinct()
    statement = upsert(connection, SharedAnswerRow)
    connection.execute(
        statement.from_select(["job_id", "fingerprint", "attempt_id"], shared).on_conflict_do_nothing()
    )


class SharedSum(NamedTuple):
    """Rows of a run that succeeded by the answer to another job: how many, and what those answers cost, in nano-USD."""

    jobs: int
    saved: int


def shared_sum(ledger: Ledger, run_id: RunId) -> SharedSum:
    """What sharing saved a run: each row that another job's attempt answered would have cost as much as that one."""
    saved_by_each = func.coalesce(func.sum(AttemptRow.actual_nano_usd), 0)
    query = _answered_by_others(run_id, func.count(), saved_by_each)
    with ledger.read() as connection:
        number, saved = connection.execute(query).one()
    return SharedSum(number, int(saved))


def cost_of_row() -> ColumnElement[int | None]:
    """What a row costs, in nano-USD, of rows joined with the attempt that answered them; NULL where it was forgotten.

    The answer to another job costs nothing, or its share, if it was paid for in the row's run and is split.
    """
    cost, jobs = AttemptRow.actual_nano_usd, func.coalesce(AttemptRow.split_jobs, 1)
    bears = and_(AttemptRow.split_jobs.is_not(None), AttemptRow.run_id == JobRow.run_id)
    of_row: ColumnElement[int | None] = case(
        (and_(_IS_OF_ANOTHER, bears), cost // jobs), (_IS_OF_ANOTHER, 0), else_=cost // jobs + cost % jobs
    )
    return of_row
