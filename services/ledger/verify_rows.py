"""Verifying the rows of runs: each has ended once its run has, none is lost, and what they wait for is there."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, null, or_, select, true
from sqlalchemy.orm import aliased

from rules.verdict import Examples, Fact, verdict
from schemas.ledger import AttemptRow, HistoryRow, JobRow, RunRow
from schemas.outcome import UNSETTLED_STATES, AttemptState, Outcome
from schemas.review_tables import ReviewRow
from schemas.verification import CheckFinding

#: what to do about a ledger that contradicts itself
RESTORE = "Keep a copy of the ledger, restore the last one that verified, and report it."
_MOST_EXAMPLES = 3


def examples(connection: Connection, query: Select[Any], group: Any = None) -> Examples:
    """How many rows a query has, and up to three of them; its columns make an id.

    Args:
        connection: the transaction.
        query: which rows.
        group: what orders them when they are groups; None: their columns do.
    """
    order = list(query.selected_columns) if group is None else [group]
    rows = connection.execute(
        query.add_columns(func.count().over()).order_by(*order).limit(_MOST_EXAMPLES)
    ).all()
    if not rows:
        return Examples(0)
    return Examples(rows[0][-1], tuple(" row ".join(map(str, row[:-1])) for row in rows))


def read_rows() -> ColumnElement[int]:
    """How many rows a run has read, as its report says; NULL where it has no report."""
    read: ColumnElement[int] = RunRow.report["jobs"]["read"].as_integer()
    return read


def rows_on_record() -> ColumnElement[int]:
    """How many rows of a run are on record."""
    return select(func.count()).where(JobRow.run_id == RunRow.run_id).correlate(RunRow).scalar_subquery()


def has_its_rows(run_id: Any) -> ColumnElement[bool]:
    """Whether pruning has not reached the rows of a run, so that none of them may be missing.

    It takes all of an ended run's rows at once but those in doubt, and the usage of its answers. So it has not been
    there while a row is left that was never in doubt since the run ended, or an answer of the run has its usage.
    """
    run, job, answered = aliased(RunRow), aliased(JobRow), aliased(AttemptRow)
    mine, named = aliased(AttemptRow), aliased(AttemptRow)
    in_doubt = or_(
        select(mine.attempt_id)
        .where(mine.run_id == job.run_id, mine.row_number == job.row_number, _doubtful(mine, run))
        .exists(),
        select(named.attempt_id).where(named.attempt_id == job.attempt_id, _doubtful(named, run)).exists(),
    )
    has_usage = select(answered.attempt_id).where(
        answered.run_id == run.run_id,
        answered.state == AttemptState.SUCCEEDED,
        answered.ended_at <= run.ended_at,
        answered.usage.is_not(null()),
    )
    never_in_doubt = select(job.row_number).where(job.run_id == run.run_id, ~in_doubt)
    whole = or_(run.ended_at.is_(None), has_usage.exists(), never_in_doubt.exists())
    return select(run.run_id).where(run.run_id == run_id, whole).exists()


def _doubtful(attempt: Any, run: Any) -> ColumnElement[bool]:
    return or_(attempt.state.in_(UNSETTLED_STATES), attempt.ended_at > run.ended_at)


def check_rows(connection: Connection) -> CheckFinding:
    """Each row has one outcome once its run has ended, they sum to the rows read, and what a row names exists."""
    row = select(JobRow.run_id, JobRow.row_number)
    of_ended = row.join(RunRow, RunRow.run_id == JobRow.run_id).where(RunRow.ended_at.is_not(None))
    unknown_word = and_(JobRow.outcome.is_not(None), JobRow.outcome.not_in(tuple(Outcome)))
    with_attempt = row.outerjoin(AttemptRow, AttemptRow.attempt_id == JobRow.attempt_id)
    waits = and_(JobRow.outcome.is_(None), JobRow.attempt_id.is_not(None))
    waits_for_nothing = or_(AttemptRow.attempt_id.is_(None), AttemptRow.state.not_in(UNSETTLED_STATES))
    return verdict(
        "rows",
        "every row of an ended run has one outcome, and no row is lost",
        [
            Fact(
                "rows of ended runs without an outcome, or with an unknown word for it",
                examples(connection, of_ended.where(or_(JobRow.outcome.is_(None), unknown_word))),
                RESTORE,
            ),
            Fact(
                "runs with another number of rows than they read",
                examples(connection, _miscounted()),
                "If prune-history was interrupted, run it again. " + RESTORE,
            ),
            Fact(
                "rows that wait for an attempt that is not on record or has ended",
                examples(connection, with_attempt.where(waits, waits_for_nothing)),
                RESTORE,
            ),
            Fact(
                "succeeded rows whose attempt did not succeed",
                examples(connection, with_attempt.where(_unanswered(connection))),
                RESTORE,
            ),
            Fact(
                "rows that share the answer to a row that is not there, or that shares one itself",
                examples(connection, _shares_with().where(_without_representative())),
                RESTORE,
            ),
            Fact(
                "rows that share an answer and have another ending than the row it was given to",
                examples(connection, _shares_with().where(JobRow.outcome.is_not(None), _ended_apart())),
                RESTORE,
            ),
            Fact(
                "rows with the answer to another payload than theirs",
                examples(connection, with_attempt.where(_of_another_payload())),
                RESTORE,
            ),
        ],
    )


_REPRESENTATIVE = aliased(JobRow)


def _shares_with() -> Select[Any]:
    """The rows that share an answer, each joined with its representative."""
    its_own = and_(
        _REPRESENTATIVE.run_id == JobRow.run_id, _REPRESENTATIVE.row_number == JobRow.shares_with_row
    )
    shares = JobRow.shares_with_row.is_not(None)
    return select(JobRow.run_id, JobRow.row_number).outerjoin(_REPRESENTATIVE, its_own).where(shares)


def _without_representative() -> ColumnElement[bool]:
    """A row whose representative is missing, unless it was pruned, or shares an answer itself."""
    missing = and_(_REPRESENTATIVE.row_number.is_(None), has_its_rows(JobRow.run_id))
    return or_(missing, _REPRESENTATIVE.shares_with_row.is_not(None))


def _ended_apart() -> ColumnElement[bool]:
    """A row that has another outcome, reason or attempt than its representative."""
    there = _REPRESENTATIVE.row_number.is_not(None)
    same = ("outcome", "reason", "attempt_id")
    return and_(
        there,
        or_(*(getattr(JobRow, name).is_distinct_from(getattr(_REPRESENTATIVE, name)) for name in same)),
    )


def _of_another_payload() -> ColumnElement[bool]:
    """A row that another job's attempt answered, though neither its payload nor the edit of it was sent."""
    edited = (
        select(ReviewRow.id)
        .where(
            ReviewRow.fingerprint == JobRow.fingerprint,
            ReviewRow.edited_fingerprint == AttemptRow.fingerprint,
        )
        .correlate(JobRow, AttemptRow)
    )
    return and_(
        JobRow.outcome == Outcome.SUCCEEDED,
        AttemptRow.job_id != JobRow.job_id,
        AttemptRow.fingerprint != JobRow.fingerprint,
        ~edited.exists(),
    )


def _miscounted() -> Select[Any]:
    counted = rows_on_record()
    lost = and_(counted < read_rows(), has_its_rows(RunRow.run_id))
    return select(RunRow.run_id).where(RunRow.ended_at.is_not(None), or_(counted > read_rows(), lost))


def _unanswered(connection: Connection) -> ColumnElement[bool]:
    """A succeeded row whose attempt did not succeed; one whose attempt is gone, unless attempts were forgotten."""
    forgot = connection.scalar(select(HistoryRow.day).limit(1)) is not None
    gone = and_(AttemptRow.attempt_id.is_(None), JobRow.attempt_id.is_(None) if forgot else true())
    return and_(JobRow.outcome == Outcome.SUCCEEDED, or_(gone, AttemptRow.state != AttemptState.SUCCEEDED))
