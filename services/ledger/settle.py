"""Settling: what an attempt's hold became. Releases it, or keeps it while the outcome is unknown."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select, text, update

from rules.endings import answered_too_late, interrupted
from schemas.attempt import Charge, Settlement
from schemas.budget import Window
from schemas.job import AttemptId
from schemas.ledger import AttemptRow
from schemas.money import NanoUsd
from schemas.outcome import UNSETTLED_STATES, AttemptState, Billing
from services.ledger.gave_way import come_back
from services.ledger.outcomes import answer_late, end_waiting
from services.ledger.pages import pages
from services.ledger.payers import payers_of
from services.ledger.store import Ledger, storable
from services.ledger.taken_up import taken_up_again
from services.ledger.windows import add_to_windows, one_at_a_time

#: the answer could not be read, and a person accepted it at what they looked up; pruning leaves these columns alone
ACCEPTED_UNREAD = and_(
    AttemptRow.state == AttemptState.SUCCEEDED,
    AttemptRow.actual_input_tokens.is_(None),
    AttemptRow.billing == Billing.PARTIAL,
)
#: closed as unbilled, or at what a person looked up, who may be wrong: an answer that comes after all, or that can be
#: read after all, knows better
CLOSED_WITHOUT_USAGE = or_(
    ACCEPTED_UNREAD, and_(AttemptRow.state == AttemptState.FAILED, AttemptRow.actual_input_tokens.is_(None))
)


def settle_all(ledger: Ledger, settlements: Sequence[Settlement]) -> list[str]:
    """Settle attempts in a transaction of their own; see `settle`."""
    if not settlements:
        return []
    with ledger.write() as connection:
        return settle(connection, settlements)


def settle(connection: Connection, settlements: Sequence[Settlement]) -> list[str]:
    """Settle attempts inside the caller's transaction.

    Settling one again changes nothing: only an open or unknown attempt can be settled. But an answer is never dropped:
    one that comes for an attempt which was closed without usage is booked all the same, and its bill takes the place of
    what a person booked, or accepted an answer at that could not be read.

    Returns:
        The attempts that were answered after they had been closed.
    """
    if not settlements:
        return []
    one_at_a_time(connection)
    by_id = {settlement.attempt_id: settlement for settlement in settlements}
    standing = _standing(connection, by_id)
    late = [row.attempt_id for row in standing if row.state not in UNSETTLED_STATES]
    unanswered = {row.attempt_id for row in standing if row.state == AttemptState.FAILED}
    doubtful = [
        row.attempt_id
        for row in standing
        if row.state == AttemptState.UNKNOWN and by_id[row.attempt_id].state == AttemptState.SUCCEEDED
    ]
    taken = taken_up_again(connection, [*late, *doubtful])
    ends = [(row, _as_late(by_id[row.attempt_id], row, taken)) for row in standing]
    if not ends:
        return []
    _write(connection, ends)
    come_back(
        connection,
        [end.attempt_id for _, end in ends if end.state == AttemptState.FAILED and end.charge is None],
    )
    end_waiting(connection, [(end.attempt_id, end.ending) for _, end in ends if end.attempt_id not in late])
    answer_late(
        connection,
        [
            (end.attempt_id, end.ending)
            for _, end in ends
            if end.attempt_id in unanswered and end.attempt_id not in taken
        ],
    )
    return [str(attempt_id) for attempt_id in late]


def _standing(connection: Connection, by_id: Mapping[AttemptId, Settlement]) -> Sequence[Row[Any]]:
    """Those of the attempts that can be settled: open, unknown, or closed without usage and answered all the same."""
    found = [row for page in pages(sorted(by_id)) for row in _standing_of(connection, page, by_id)]
    return sorted(found, key=lambda row: str(row.attempt_id))


def _standing_of(
    connection: Connection, page: Sequence[AttemptId], by_id: Mapping[AttemptId, Settlement]
) -> Sequence[Row[Any]]:
    answered = [one for one in page if by_id[one].state == AttemptState.SUCCEEDED]
    closed = AttemptRow.attempt_id.in_(answered) & CLOSED_WITHOUT_USAGE
    query = select(
        AttemptRow.attempt_id,
        AttemptRow.run_id,
        AttemptRow.job_id,
        AttemptRow.fingerprint,
        AttemptRow.budget_day,
        AttemptRow.group_name,
        AttemptRow.deadline,
        AttemptRow.split_jobs,
        AttemptRow.held_nano_usd,
        AttemptRow.actual_nano_usd,
        AttemptRow.state,
    ).where(
        AttemptRow.attempt_id.in_(page),
        AttemptRow.state.in_(UNSETTLED_STATES) | closed,
    )
    return connection.execute(query).all()


def _as_late(end: Settlement, row: Row[Any], taken: Collection[str]) -> Settlement:
    """A settlement as it can be written: an answer to a job that was taken up again is only booked."""
    if row.attempt_id not in taken:
        return end
    if row.state == AttemptState.UNKNOWN and end.charge is not None:
        return answered_too_late(end.attempt_id, end.charge)
    return replace(
        end, state=AttemptState.FAILED, error="answered after it was closed, and its job was sent again"
    )


def _write(connection: Connection, ends: Sequence[tuple[Row[Any], Settlement]]) -> None:
    held: Counter[Window] = Counter()
    settled: Counter[Window] = Counter()
    payers = payers_of(connection, [row for row, _ in ends])
    for row, end in ends:
        released = 0 if end.state == AttemptState.UNKNOWN else row.held_nano_usd
        bears, when = payers[row.attempt_id], (row.run_id, row.budget_day)
        held.subtract(bears.in_windows(*when, released, row.deadline))
        cost = end.charge.cost if end.charge else 0
        settled.update(bears.in_windows(*when, cost, row.deadline))
        settled.subtract(bears.in_windows(*when, row.actual_nano_usd or 0, row.deadline))
    now = datetime.now(UTC)
    connection.execute(_SETTLE, [_settle_values(end, row.held_nano_usd, now) for row, end in ends])
    keep_answers(connection, [end for _, end in ends])
    add_to_windows(connection, {window: (held[window], settled[window]) for window in held})


def keep_answers(connection: Connection, ends: Sequence[Settlement]) -> None:
    """Keep what came of attempts, in place of what was kept of them before."""
    answers = [
        {"attempt_id": end.attempt_id, "body": storable(end.response)}
        for end in ends
        if end.response is not None
    ]
    if answers:
        connection.execute(_KEEP_ANSWER, answers)


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
        "v_stop": storable(end.stop_reason),
        "v_request": storable(end.request_id),
        "v_error": storable(end.error),
    }


# as text, for SQLAlchemy compiles an upsert of its own every time, which takes as long as to settle a group of answers
_KEEP_ANSWER = text(
    "INSERT INTO responses (attempt_id, body) VALUES (:attempt_id, :body) "
    "ON CONFLICT (attempt_id) DO UPDATE SET body = excluded.body"
)
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


def end_open_attempts(
    connection: Connection, run_id: str, among: Sequence[AttemptId] | None = None
) -> list[AttemptId]:
    """End what an interrupted run, or a lost worker, left open: never sent is failed and released, sent unknown and held.

    What went out in a provider batch stays open: its outcome can still be had.

    Args:
        connection: the caller's transaction.
        run_id: the run.
        among: only these attempts; None: all of the run.

    Returns:
        Those that were open.
    """
    left_open = [
        AttemptRow.run_id == run_id,
        AttemptRow.state == AttemptState.OPEN,
        AttemptRow.batch_id.is_(None),
    ]
    if among is not None:
        left_open.append(AttemptRow.attempt_id.in_(among))
    rows = connection.execute(select(AttemptRow.attempt_id, AttemptRow.sent_at).where(*left_open)).all()
    ends = [interrupted(AttemptId(row.attempt_id), sent=row.sent_at is not None) for row in rows]
    for page in pages(ends):
        settle(connection, page)
    return [end.attempt_id for end in ends]
