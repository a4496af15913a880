"""Settling: what an attempt's hold became. Releases it, or keeps it while the outcome is unknown."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from rules.endings import interrupted
from schemas.attempt import Charge, Settlement
from schemas.budget import Window, windows_of
from schemas.job import AttemptId
from schemas.ledger import AttemptRow, ResponseRow
from schemas.money import NanoUsd
from schemas.outcome import AttemptState, Billing
from services.ledger.outcomes import end_waiting
from services.ledger.store import Ledger, storable
from services.ledger.windows import add_to_windows, one_at_a_time


def record_leaving(connection: Connection, attempts: Sequence[AttemptId]) -> None:
    """Put on record, inside the caller's transaction, that attempts are about to leave."""
    if attempts:
        connection.execute(
            update(AttemptRow)
            .where(AttemptRow.attempt_id == bindparam("r_id"), AttemptRow.state == AttemptState.OPEN)
            .values(sent_at=bindparam("v_sent_at")),
            [{"r_id": attempt_id, "v_sent_at": datetime.now(UTC)} for attempt_id in attempts],
        )


def settle_all(ledger: Ledger, settlements: Sequence[Settlement]) -> None:
    """Settle attempts in a transaction of their own; see `settle`."""
    if settlements:
        with ledger.write() as connection:
            settle(connection, settlements)


def settle(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Settle attempts inside the caller's transaction.

    Settling one again changes nothing: only an open or unknown attempt can be settled.
    """
    if not settlements:
        return
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
            settled[window] += end.charge.cost if end.charge else 0
    if not standing:
        return
    connection.execute(
        _SETTLE, [_settle_values(by_id[row.attempt_id], row.held_nano_usd, now) for row in standing]
    )
    end_waiting(
        connection, [(end.attempt_id, end.ending) for end in (by_id[row.attempt_id] for row in standing)]
    )
    answers = [
        {"attempt_id": row.attempt_id, "body": by_id[row.attempt_id].response}
        for row in standing
        if by_id[row.attempt_id].response is not None
    ]
    if answers:
        connection.execute(insert(ResponseRow), answers)
    add_to_windows(connection, {window: (held[window], settled[window]) for window in held})


def _settle_values(end: Settlement, held: int, now: datetime) -> dict[str, Any]:
    is_unknown = end.state == AttemptState.UNKNOWN
    charge = end.charge or _NO_CHARGE
    billing = charge.billing
    if billing is None and is_unknown:
        billing = Billing.PARTIAL
    return {
        "r_id": end.attempt_id,
        "v_state": end.state,
        "v_held": held if is_unknown else 0,
        "v_ended_at": now,
        "v_tries": end.tries,
        "v_input": charge.input_tokens,
        "v_write": charge.cache_write_tokens,
        "v_write_1h": charge.cache_write_1h_tokens,
        "v_read": charge.cache_read_tokens,
        "v_output": charge.output_tokens,
        "v_thinking": charge.thinking_tokens,
        "v_searches": charge.web_searches,
        "v_tier": storable(charge.service_tier),
        "v_geo": storable(charge.inference_geo),
        "v_billing": billing,
        "v_cost": end.charge.cost if end.charge else None,
        "v_usage": charge.usage,
        "v_stop": end.stop_reason,
        "v_request": end.request_id,
        "v_error": storable(end.error),
    }


_NO_CHARGE = Charge(cost=NanoUsd(0), billing=None)
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
    ends = [interrupted(AttemptId(row.attempt_id), sent=row.sent_at is not None) for row in rows]
    for start in range(0, len(ends), 500):
        settle(connection, ends[start : start + 500])
