"""The items of a batch on record: what settling them needs, and settling them from the batch's results."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from rules.endings import answered_too_late
from schemas.attempt import Charge, Expectation, Settlement, UnsettledAttempt
from schemas.job import AttemptId, RunId
from schemas.ledger import AttemptRow, JobRow, ResponseRow
from schemas.money import NanoUsd
from schemas.outcome import UNSETTLED_STATES, AttemptState, Ending, Method
from schemas.payload.traits import Traits
from services.ledger.outcomes import end_where
from services.ledger.pages import pages
from services.ledger.payers import payers_of
from services.ledger.settle import CLOSED_WITHOUT_USAGE, keep_answers, settle
from services.ledger.store import Ledger, storable
from services.ledger.taken_up import taken_up_again
from services.ledger.windows import add_to_windows, one_at_a_time


def attempts_of(ledger: Ledger, batch_id: str) -> list[UnsettledAttempt]:
    """The attempts of a batch that are not settled."""
    return _found(ledger, [AttemptRow.batch_id == batch_id, AttemptRow.state.in_(UNSETTLED_STATES)])


def attempts_named(
    ledger: Ledger, batch_id: str, ids: Collection[str], states: Sequence[AttemptState]
) -> list[UnsettledAttempt]:
    """Those of some attempts, a statement's worth at most, that are of a batch and in one of these states."""
    # found by their ids: by its batch, SQLite would look through all of it for each statement
    of_batch = func.coalesce(AttemptRow.batch_id, "") == batch_id
    own = [AttemptRow.attempt_id.in_(ids), of_batch, AttemptRow.state.in_(states)]
    return _found(ledger, own)


def _found(ledger: Ledger, which: Sequence[ColumnElement[bool]]) -> list[UnsettledAttempt]:
    """Attempts with what settling them asks, and how often their job was tried in the run."""
    own = select(AttemptRow.run_id, AttemptRow.row_number).where(*which).distinct().subquery("own")
    tried = (
        select(AttemptRow.run_id, AttemptRow.row_number, func.count().label("tried"))
        .join(own, (own.c.run_id == AttemptRow.run_id) & (own.c.row_number == AttemptRow.row_number))
        .group_by(AttemptRow.run_id, AttemptRow.row_number)
        .subquery("tries")
    )
    query = (
        select(
            AttemptRow.attempt_id,
            AttemptRow.model,
            func.coalesce(AttemptRow.sent_at, AttemptRow.opened_at).label("left_at"),
            func.coalesce(AttemptRow.cache_ttl, JobRow.cache_ttl).label("cache_ttl"),
            JobRow.traits,
            tried.c.tried,
            AttemptRow.input_tokens,
            AttemptRow.method,
            AttemptRow.max_tokens,
            AttemptRow.worst_case_nano_usd,
            AttemptRow.state,
            AttemptRow.prefix_key,
            AttemptRow.is_prime,
        )
        .join(JobRow, (JobRow.run_id == AttemptRow.run_id) & (JobRow.row_number == AttemptRow.row_number))
        .join(tried, (tried.c.run_id == AttemptRow.run_id) & (tried.c.row_number == AttemptRow.row_number))
        .where(*which)
    )
    with ledger.read() as connection:
        return [_unsettled(row) for row in connection.execute(query)]


def _unsettled(row: Row[Any]) -> UnsettledAttempt:
    return UnsettledAttempt(
        attempt_id=AttemptId(row.attempt_id),
        model=row.model,
        left_at=row.left_at,
        cache_ttl=row.cache_ttl,
        traits=Traits.from_json(row.traits),
        tried=row.tried,
        expects=Expectation(
            counted=row.input_tokens,
            is_counted=row.method == Method.COUNTED,
            max_tokens=row.max_tokens,
            worst_case=NanoUsd(row.worst_case_nano_usd),
        ),
        state=AttemptState(row.state),
        prefix_key=row.prefix_key,
        is_prime=bool(row.is_prime),
    )


def ids_of(ledger: Ledger, batch_id: str, states: Sequence[AttemptState] = ()) -> set[str]:
    """The ids of the attempts of a batch in these states; of none: of all, whatever became of them."""
    query = select(AttemptRow.attempt_id).where(AttemptRow.batch_id == batch_id)
    if states:
        query = query.where(AttemptRow.state.in_(states))
    with ledger.read() as connection:
        return set(connection.scalars(query))


def settle_items(ledger: Ledger, settlements: Sequence[Settlement]) -> None:
    """Settle attempts from the results of their batch, in one transaction.

    What was kept of an answer that could not be read gives way to what is known now.
    """
    if not settlements:
        return
    with ledger.write() as connection:
        one_at_a_time(connection)
        with_body = [end.attempt_id for end in settlements if end.response is not None]
        unsettled = select(AttemptRow.attempt_id).where(AttemptRow.state.in_(UNSETTLED_STATES))
        for page in pages(with_body):
            connection.execute(
                delete(ResponseRow).where(
                    ResponseRow.attempt_id.in_(page),
                    ResponseRow.attempt_id.in_(unsettled),
                )
            )
        settle(connection, settlements)


def book_closed(ledger: Ledger, settlements: Sequence[Settlement]) -> int:
    """Put what attempts cost into the books that were closed without usage, and were answered after all; how many.

    Where the job has no other attempt in flight or answered, the answer counts: the next admission finds it.
    """
    booked = 0
    with ledger.write() as connection:
        one_at_a_time(connection)
        taken_up = taken_up_again(connection, [end.attempt_id for end in settlements])
        for end in settlements:
            if end.charge is not None:
                late = answered_too_late(end.attempt_id, end.charge) if end.attempt_id in taken_up else end
                booked += _book_closed(connection, late, end.charge)
    return booked


def _book_closed(connection: Connection, end: Settlement, charge: Charge) -> bool:
    row = connection.execute(
        select(
            AttemptRow.attempt_id,
            AttemptRow.run_id,
            AttemptRow.budget_day,
            AttemptRow.group_name,
            AttemptRow.deadline,
            AttemptRow.split_jobs,
            AttemptRow.actual_nano_usd,
        ).where(AttemptRow.attempt_id == end.attempt_id, CLOSED_WITHOUT_USAGE)
    ).first()
    if row is None:
        return False
    connection.execute(
        update(AttemptRow).where(AttemptRow.attempt_id == end.attempt_id).values(_closed_values(end, charge))
    )
    keep_answers(connection, [end])
    payers = payers_of(connection, [row])[row.attempt_id]
    settled = Counter(payers.in_windows(row.run_id, row.budget_day, charge.cost, row.deadline))
    settled.subtract(payers.in_windows(row.run_id, row.budget_day, row.actual_nano_usd or 0, row.deadline))
    add_to_windows(connection, {window: (0, share) for window, share in settled.items()})
    return True


def _closed_values(end: Settlement, charge: Charge) -> dict[str, Any]:
    return {
        "state": end.state,
        "error": storable(end.error),
        "stop_reason": storable(end.stop_reason),
        "actual_nano_usd": charge.cost,
        "billing": charge.billing,
        "usage": charge.usage,
        "actual_input_tokens": charge.input_tokens,
        "cache_write_tokens": charge.cache_write_tokens,
        "cache_write_1h_tokens": charge.cache_write_1h_tokens,
        "cache_read_tokens": charge.cache_read_tokens,
        "actual_output_tokens": charge.output_tokens,
        "thinking_tokens": charge.thinking_tokens,
        "web_searches": charge.web_searches,
        "service_tier": storable(charge.service_tier),
        "inference_geo": storable(charge.inference_geo),
    }


def end_waiting_rows(ledger: Ledger, run_id: RunId, batch_id: str, ending: Ending) -> None:
    """End the rows of a run that wait for a batch. The batch and its money stay as they are."""
    of_batch = select(AttemptRow.attempt_id).where(AttemptRow.batch_id == batch_id)
    with ledger.write() as connection:
        one_at_a_time(connection)
        end_where(connection, [JobRow.run_id == run_id, JobRow.attempt_id.in_(of_batch)], ending)
