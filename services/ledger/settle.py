"""Settling: what an attempt's hold became. Releases it, or keeps it while the outcome is unknown."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from schemas.attempt import Settlement
from schemas.budget import Window
from schemas.job import AttemptId
from schemas.ledger import AttemptRow, JobRow, ResponseRow
from schemas.outcome import AttemptState, Billing, Outcome, Reason
from services.ledger.store import Ledger, storable
from services.ledger.windows import add_to_windows, one_at_a_time, windows_of


def record_sent_and_settled(
    ledger: Ledger, leaving: Sequence[AttemptId], settlements: Sequence[Settlement]
) -> None:
    """Put on record, in one transaction, which attempts are about to leave and how others ended.

    Writing a settlement again changes nothing: only an open or unknown attempt can be settled.
    """
    with ledger.write() as connection:
        if leaving:
            connection.execute(
                update(AttemptRow)
                .where(AttemptRow.attempt_id == bindparam("r_id"), AttemptRow.state == AttemptState.OPEN)
                .values(sent_at=bindparam("v_sent_at")),
                [{"r_id": attempt_id, "v_sent_at": datetime.now(UTC)} for attempt_id in leaving],
            )
        if settlements:
            settle(connection, settlements)


def settle(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Settle attempts inside the caller's transaction; those that have ended already are left as they are."""
    one_at_a_time(connection)
    by_id = {settlement.attempt_id: settlement for settlement in settlements}
    standing = connection.execute(
        select(
            AttemptRow.attempt_id,
            AttemptRow.run_id,
            AttemptRow.row_number,
            AttemptRow.budget_day,
            AttemptRow.group_name,
            AttemptRow.held_nano_usd,
        ).where(
            AttemptRow.attempt_id.in_(list(by_id)),
            AttemptRow.state.in_([AttemptState.OPEN, AttemptState.UNKNOWN]),
        )
    ).all()
    held: Counter[Window] = Counter()
    settled: Counter[Window] = Counter()
    now = datetime.now(UTC)
    for row in standing:
        end = by_id[row.attempt_id]
        released = 0 if end.state == AttemptState.UNKNOWN else row.held_nano_usd
        for window in windows_of(row.run_id, row.budget_day, row.group_name):
            held[window] -= released
            settled[window] += end.cost or 0
    if not standing:
        return
    connection.execute(
        _SETTLE, [_settle_values(by_id[row.attempt_id], row.held_nano_usd, now) for row in standing]
    )
    connection.execute(_END_JOB, [_job_values(by_id[row.attempt_id]) for row in standing])
    answers = [
        {"attempt_id": row.attempt_id, "body": by_id[row.attempt_id].response}
        for row in standing
        if by_id[row.attempt_id].response is not None
    ]
    if answers:
        connection.execute(insert(ResponseRow), answers)
    add_to_windows(connection, {window: (held[window], settled[window]) for window in held})


def _settle_values(end: Settlement, held: int, now: datetime) -> dict[str, Any]:
    return {
        "r_id": end.attempt_id,
        "v_state": end.state,
        "v_held": held if end.state == AttemptState.UNKNOWN else 0,
        "v_ended_at": now,
        "v_tries": end.tries,
        "v_input": end.input_tokens,
        "v_write": end.cache_write_tokens,
        "v_write_1h": end.cache_write_1h_tokens,
        "v_read": end.cache_read_tokens,
        "v_output": end.output_tokens,
        "v_thinking": end.thinking_tokens,
        "v_searches": end.web_searches,
        "v_tier": storable(end.service_tier),
        "v_geo": storable(end.inference_geo),
        "v_billing": end.billing or (Billing.PARTIAL if end.state == AttemptState.UNKNOWN else None),
        "v_cost": end.cost,
        "v_usage": end.usage,
        "v_stop": end.stop_reason,
        "v_request": end.request_id,
        "v_error": storable(end.detail),
    }


_SETTLE = (
    update(AttemptRow)
    .where(AttemptRow.attempt_id == bindparam("r_id"))
    .values(
        state=bindparam("v_state"),
        held_nano_usd=bindparam("v_held"),
        ended_at=bindparam("v_ended_at"),
        tries=bindparam("v_tries"),
        actual_input_tokens=bindparam("v_input"),
        cache_write_tokens=bindparam("v_write"),
        cache_write_1h_tokens=bindparam("v_write_1h"),
        cache_read_tokens=bindparam("v_read"),
        actual_output_tokens=bindparam("v_output"),
        thinking_tokens=bindparam("v_thinking"),
        web_searches=bindparam("v_searches"),
        service_tier=bindparam("v_tier"),
        inference_geo=bindparam("v_geo"),
        billing=bindparam("v_billing"),
        actual_nano_usd=bindparam("v_cost"),
        usage=bindparam("v_usage"),
        stop_reason=bindparam("v_stop"),
        request_id=bindparam("v_request"),
        error=bindparam("v_error"),
    )
)

#: an attempt's end is the end of every row that waits for it, in whichever run the row stands
_END_JOB = (
    update(JobRow)
    .where(
        JobRow.attempt_id == bindparam("r_attempt"),
        JobRow.outcome.is_(None) | (JobRow.outcome == Outcome.UNKNOWN),
    )
    .values(
        outcome=bindparam("v_outcome"),
        reason=bindparam("v_reason"),
        detail=bindparam("v_detail"),
        attempt_id=bindparam("v_attempt"),
    )
)


def _job_values(end: Settlement) -> dict[str, Any]:
    return {
        "r_attempt": end.attempt_id,
        "v_outcome": end.outcome,
        "v_reason": end.reason if end.outcome else None,
        "v_detail": storable(end.detail) if end.outcome else None,
        "v_attempt": end.attempt_id if end.outcome else None,
    }


def end_open_attempts(connection: Connection, run_id: str) -> None:
    """End what an interrupted run left open: never sent is failed and released, sent is unknown and held.

    What went out in a provider batch stays open: its outcome can still be had.
    """
    rows = connection.execute(
        select(AttemptRow.attempt_id, AttemptRow.sent_at).where(
            AttemptRow.run_id == run_id,
            AttemptRow.state == AttemptState.OPEN,
            AttemptRow.batch_id.is_(None),
        )
    ).all()
    ends = [
        Settlement(
            AttemptId(row.attempt_id),
            AttemptState.FAILED,
            Outcome.DEFERRED,
            tries=0,
            reason=Reason.INTERRUPTED,
            detail="the run was interrupted before it was sent; nothing was billed",
        )
        if row.sent_at is None
        else Settlement(
            AttemptId(row.attempt_id),
            AttemptState.UNKNOWN,
            Outcome.UNKNOWN,
            reason=Reason.UNKNOWN_OUTCOME,
            detail="the run was interrupted while it was in flight; it may have been billed",
        )
        for row in rows
    ]
    for start in range(0, len(ends), 500):
        settle(connection, ends[start : start + 500])
