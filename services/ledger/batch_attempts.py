"""The items of a batch on record: what settling them needs, and settling them from the batch's results."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, delete, func, select

from schemas.attempt import Expectation, Settlement, UnsettledAttempt
from schemas.job import AttemptId, RunId
from schemas.ledger import AttemptRow, JobRow, ResponseRow
from schemas.money import NanoUsd
from schemas.outcome import UNSETTLED_STATES, AttemptState, Ending, Method
from schemas.payload.traits import Traits
from services.ledger.outcomes import end_where
from services.ledger.pages import pages
from services.ledger.settle import CLOSED_WITHOUT_USAGE, settle
from services.ledger.store import Ledger
from services.ledger.windows import one_at_a_time


def attempts_of(ledger: Ledger, batch_id: str) -> list[UnsettledAttempt]:
    """The attempts of a batch that are not settled."""
    return _found(ledger, [AttemptRow.batch_id == batch_id, AttemptRow.state.in_(UNSETTLED_STATES)])


def attempts_named(ledger: Ledger, batch_id: str, ids: Collection[str]) -> list[UnsettledAttempt]:
    """Those of some attempts of a batch, a statement's worth at most, of which a line of its results can say more."""
    # found by their ids: by its batch, SQLite would look through all of it for each statement
    of_batch = func.coalesce(AttemptRow.batch_id, "") == batch_id
    says_more = AttemptRow.state.in_(UNSETTLED_STATES) | CLOSED_WITHOUT_USAGE
    return _found(ledger, [AttemptRow.attempt_id.in_(ids), of_batch, says_more])


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


def ends_of(ledger: Ledger, batch_ids: Sequence[str]) -> set[tuple[str, int, int, int]]:
    """How the attempts of some batches stand: by state, how many, those with usage, and nano-USD that they cost."""
    cost = func.sum(func.coalesce(AttemptRow.actual_nano_usd, 0)).cast(BigInteger)
    query = (
        select(AttemptRow.state, func.count(), func.count(AttemptRow.actual_input_tokens), cost)
        .where(AttemptRow.batch_id.in_(batch_ids))
        .group_by(AttemptRow.state)
    )
    with ledger.read() as connection:
        return set(connection.execute(query).tuples())


def ids_of(ledger: Ledger, batch_id: str, states: Sequence[AttemptState] = ()) -> set[str]:
    """The ids of the attempts of a batch in these states; of none: of all, whatever became of them."""
    query = select(AttemptRow.attempt_id).where(AttemptRow.batch_id == batch_id)
    if states:
        query = query.where(AttemptRow.state.in_(states))
    with ledger.read() as connection:
        return set(connection.scalars(query))


def settle_items(ledger: Ledger, settlements: Sequence[Settlement]) -> list[str]:
    """Settle attempts from the results of their batch, in one transaction.

    What was kept of an answer that could not be read gives way to what is known now.

    Returns:
        The attempts that were answered after they had been closed.
    """
    if not settlements:
        return []
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
        return settle(connection, settlements)


def end_waiting_rows(ledger: Ledger, run_id: RunId, batch_id: str, ending: Ending) -> None:
    """End the rows of a run that wait for a batch. The batch and its money stay as they are."""
    of_batch = select(AttemptRow.attempt_id).where(AttemptRow.batch_id == batch_id)
    with ledger.write() as connection:
        one_at_a_time(connection)
        end_where(connection, [JobRow.run_id == run_id, JobRow.attempt_id.in_(of_batch)], ending)
