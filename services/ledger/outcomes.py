"""The one writer of `jobs.outcome`: every row ends here, once, whichever step ends it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, select, update

from schemas.job import AttemptId, JobUpdate
from schemas.ledger import AttemptRow, BatchRow, JobRow
from schemas.money import NanoUsd
from schemas.outcome import Ending, Outcome, Reason
from services.ledger.store import storable
from services.ledger.written_out import written_out


@dataclass(frozen=True, slots=True)
class RowEnding:
    """The ending of one row at its admission.

    Attributes:
        attempt_id: the attempt that it ends by, if one does.
        expected, worst_case: nano-USD.
    """

    row_number: int
    ending: Ending
    attempt_id: str | None
    expected: NanoUsd
    worst_case: NanoUsd


def ending_columns(ending: Ending | None) -> dict[str, Any]:
    """The columns of a row that has this ending, or none yet."""
    if ending is None:
        return dict.fromkeys(("decision", "outcome", "reason", "detail"))
    return {
        "decision": ending.decision,
        "outcome": ending.outcome,
        "reason": ending.reason,
        "detail": storable(ending.detail),
    }


def update_rows(connection: Connection, run_id: str, updates: Iterable[JobUpdate]) -> None:
    """Write what is known of queued rows, their endings included. A field that is left out keeps what is on record.

    A row that was sent or has ended stays as it is: what comes late, from a shard that was delivered twice, is dropped.
    """
    rows = [
        {
            "r_row_number": one.row_number,
            "v_model": one.model,
            "v_input_tokens": one.input_tokens,
            "v_method": one.method,
            "v_expected_nano_usd": one.expected,
            "v_worst_case_nano_usd": one.worst_case,
            **{f"v_{name}": value for name, value in ending_columns(one.ending).items()},
        }
        for one in updates
    ]
    if rows:
        connection.execute(_UPDATE_ROW, [{"r_run_id": run_id, **row} for row in rows])


def _kept_or(name: str) -> Any:
    return func.coalesce(bindparam(f"v_{name}"), getattr(JobRow, name))


_OF_ROW = (JobRow.run_id == bindparam("r_run_id"), JobRow.row_number == bindparam("r_row_number"))
_UPDATE_ROW = (
    update(JobRow)
    .where(*_OF_ROW, JobRow.outcome.is_(None), JobRow.attempt_id.is_(None))
    .values(
        {
            name: _kept_or(name)
            for name in (
                "model",
                "input_tokens",
                "method",
                "decision",
                "outcome",
                "reason",
                "detail",
                "expected_nano_usd",
                "worst_case_nano_usd",
            )
        }
    )
)

_END_ROW = (
    update(JobRow)
    .where(*_OF_ROW)
    .values(
        decision=bindparam("v_decision"),
        outcome=bindparam("v_outcome"),
        reason=bindparam("v_reason"),
        detail=bindparam("v_detail"),
        attempt_id=bindparam("v_attempt_id"),
        expected_nano_usd=bindparam("v_expected"),
        worst_case_nano_usd=bindparam("v_worst_case"),
    )
)


def end_rows(connection: Connection, run_id: str, endings: Sequence[RowEnding]) -> None:
    """End rows at their admission: what earlier attempts or the want of money make of them."""
    if not endings:
        return
    connection.execute(
        _END_ROW,
        [
            {
                "r_run_id": run_id,
                "r_row_number": row.row_number,
                "v_attempt_id": row.attempt_id,
                "v_expected": row.expected,
                "v_worst_case": row.worst_case,
                **{f"v_{name}": value for name, value in ending_columns(row.ending).items()},
            }
            for row in endings
        ],
    )


#: an attempt's end is the end of every row that waits for it, in whichever run the row stands
_END_BY_ATTEMPT = (
    update(JobRow)
    .where(JobRow.attempt_id == bindparam("r_attempt"))
    .values(
        outcome=bindparam("v_outcome"),
        reason=bindparam("v_reason"),
        detail=bindparam("v_detail"),
        attempt_id=bindparam("v_attempt"),
    )
)
_WAITS = JobRow.outcome.is_(None) | (JobRow.outcome == written_out(Outcome.UNKNOWN))
_NOT_ANSWERED = JobRow.outcome != written_out(Outcome.SUCCEEDED)
#: attempts, and what their jobs end as
_Ends = Sequence[tuple[AttemptId, Ending | None]]


def end_waiting(connection: Connection, endings: _Ends) -> None:
    """End every row that waits for these attempts; where there is no ending, the row goes back into its queue."""
    _end_by_attempt(connection, _WAITS, endings)


def answer_late(connection: Connection, endings: _Ends) -> None:
    """End the rows whose attempt was closed and is answered all the same."""
    _end_by_attempt(connection, _NOT_ANSWERED, endings)


def _end_by_attempt(connection: Connection, which: ColumnElement[bool], endings: _Ends) -> None:
    if not endings:
        return
    connection.execute(
        _END_BY_ATTEMPT.where(which),
        [
            {
                "r_attempt": attempt_id,
                "v_outcome": ending.outcome if ending else None,
                "v_reason": ending.reason if ending else None,
                "v_detail": storable(ending.detail) if ending else None,
                "v_attempt": attempt_id if ending else None,
            }
            for attempt_id, ending in endings
        ],
    )


def left_unanswered(run_id: str, *, expired: bool) -> tuple[ColumnElement[bool], ...]:
    """The rows of a run that a batch left because its answers were due.

    Those are rows of batches that a run stopped for its deadline, or did not create any more. Rows of a batch that
    somebody else stopped are not among them.

    Args:
        run_id: the run.
        expired: also the rows that the provider did not get to within 24 hours.
    """
    stopped = (
        select(AttemptRow.attempt_id)
        .outerjoin(BatchRow, BatchRow.batch_id == AttemptRow.batch_id)
        .where(
            AttemptRow.attempt_id == JobRow.attempt_id,
            AttemptRow.batch_id.is_(None) | BatchRow.cancel_asked_at.is_not(None),
        )
    )
    left = (JobRow.reason == Reason.BATCH_CANCELED) & stopped.exists()
    if expired:
        left |= JobRow.reason == Reason.BATCH_EXPIRED
    return JobRow.run_id == run_id, JobRow.outcome == Outcome.DEFERRED, left


def requeue(connection: Connection, which: Sequence[ColumnElement[bool]]) -> int:
    """Queue rows again that have an outcome, of a run that has not ended; how many."""
    queued = connection.execute(
        update(JobRow).where(*which).values(outcome=None, reason=None, detail=None, attempt_id=None)
    )
    return queued.rowcount


def end_where(connection: Connection, which: Sequence[ColumnElement[bool]], ending: Ending) -> None:
    """End all rows that a condition names, of those that have no outcome yet; they wait for no attempt."""
    connection.execute(
        update(JobRow)
        .where(JobRow.outcome.is_(None), *which)
        .values(**ending_columns(ending), attempt_id=None)
    )
