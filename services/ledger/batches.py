"""Batches on record: before they are created, while the provider works, and when every item is settled."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, func, select, update

from schemas.attempt import Settlement
from schemas.batch import RESULTS_KEPT, BatchPlace, OpenBatch
from schemas.budget import DayCaps
from schemas.job import AttemptId, RunId
from schemas.ledger import AttemptRow, BatchRow, JobRow, RunRow
from schemas.outcome import BatchState
from schemas.run import RunKey
from services.ledger.leases import assert_owner
from services.ledger.leaving import record_leaving
from services.ledger.pages import pages
from services.ledger.reviews.standing import TakenBack
from services.ledger.settle import settle
from services.ledger.store import Ledger, NotOwner, storable, upsert
from services.ledger.windows import NoRoomToday, one_at_a_time

#: how the ids of batches begin
_BATCH = "bat_"
OPEN_STATES = (BatchState.PREPARED, BatchState.SUBMITTED)


_OPEN_COLUMNS = (
    BatchRow.batch_id,
    BatchRow.run_id,
    BatchRow.provider_batch_id,
    BatchRow.requests,
    BatchRow.prepared_at,
    BatchRow.doubtful_since,
    BatchRow.missing_since,
    BatchRow.given_up_at,
    # what a version before this one did not write down of a batch is as its run has it
    func.coalesce(BatchRow.endpoint, RunRow.endpoint),
    func.coalesce(BatchRow.workspace, RunRow.workspace),
)


def new_batch(run_id: RunId, requests: int, place: BatchPlace) -> OpenBatch:
    """A batch that is on no record yet.

    Args:
        run_id: whose batch it is.
        requests: how many attempts go out in it.
        place: where it will be made.
    """
    return OpenBatch(
        f"{_BATCH}{uuid4().hex}",
        run_id,
        None,
        requests,
        datetime.now(UTC),
        endpoint=place.endpoint,
        workspace=place.workspace,
    )


def prepare(
    ledger: Ledger,
    run: RunKey,
    batch: OpenBatch,
    attempts: Sequence[AttemptId],
    request_bytes: int,
    today: DayCaps,
) -> None:
    """Put a batch and its attempts on record, as about to leave, in one transaction; see `record_leaving`.

    The same batch may be put on record again: the first transaction may have gone through without an answer.

    Args:
        ledger: the ledger.
        run: whose batch it is, with its owner's token.
        batch: from `new_batch`.
        attempts: what goes out in it.
        request_bytes: size of the request's body.
        today: the day on which it leaves, and its caps.

    Raises:
        TakenBack: people do not let some of them pass any more. Nothing was written.
        NoRoomToday: today's windows have no room for some of them. Nothing was written.
        NotOwner: the run was taken over, or not every attempt is open any more. Nothing was written, and nothing may
            be sent.
    """
    with ledger.write() as connection:
        token = batch.batch_id.removeprefix(_BATCH)
        leaving = record_leaving(connection, run, sorted(attempts), today, token)
        if leaving.taken_back:
            raise TakenBack(leaving.taken_back)
        if leaving.staying:
            raise NoRoomToday(leaving.staying)
        if len(leaving.marked) != len(attempts):
            raise NotOwner(run.run_id)
        on_record = upsert(connection, BatchRow).on_conflict_do_nothing()
        connection.execute(
            on_record.values(
                batch_id=batch.batch_id,
                run_id=run.run_id,
                state=BatchState.PREPARED,
                endpoint=batch.endpoint,
                workspace=batch.workspace,
                requests=batch.requests,
                request_bytes=request_bytes,
                prepared_at=batch.prepared_at,
            )
        )
        for page in pages(attempts):
            packed = update(AttemptRow).where(AttemptRow.attempt_id.in_(page))
            connection.execute(packed.values(batch_id=batch.batch_id, sent_at=batch.prepared_at))


def doubtful(ledger: Ledger, batch_id: str) -> None:
    """Put on record that the creation of a batch is over and brought no answer."""
    with ledger.write() as connection:
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state == BatchState.PREPARED)
            .values(doubtful_since=datetime.now(UTC))
        )


def submitted(
    ledger: Ledger,
    batch_id: str,
    provider_batch_id: str,
    expires_at: datetime | None,
    place: BatchPlace = BatchPlace(),  # noqa: B008 - frozen
) -> bool:
    """Put on record under which id the provider has a batch, and where; False when it was given up before."""
    with ledger.write() as connection:
        changed = connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state == BatchState.PREPARED)
            .values(
                state=BatchState.SUBMITTED,
                provider_batch_id=storable(provider_batch_id),
                submitted_at=datetime.now(UTC),
                expires_at=expires_at,
                endpoint=func.coalesce(place.endpoint, BatchRow.endpoint),
                workspace=func.coalesce(place.workspace, BatchRow.workspace),
            )
        )
        if changed.rowcount:
            return True
        # whoever took this process for dead may have found the batch itself
        query = select(BatchRow.provider_batch_id).where(BatchRow.batch_id == batch_id)
        return connection.scalar(query) == storable(provider_batch_id)


def made_after_all(
    ledger: Ledger, batch_id: str, provider_batch_id: str, expires_at: datetime | None
) -> None:
    """Put on record that a batch that was given up while it was being created is with the provider, and open."""
    with ledger.write() as connection:
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state == BatchState.ABSENT)
            .values(
                state=BatchState.SUBMITTED,
                provider_batch_id=storable(provider_batch_id),
                submitted_at=datetime.now(UTC),
                expires_at=expires_at,
                ended_at=None,
                detail="it was given up while it was being created; it is cancelled, and what it brings is booked",
            )
        )


def asked_to_stop(ledger: Ledger, run: RunKey, batch_id: str) -> None:
    """Put on record that a run is about to ask for the end of a batch, because its answers are due.

    Raises:
        NotOwner: the run was taken over.
    """
    with ledger.write() as connection:
        assert_owner(connection, run)
        connection.execute(
            update(BatchRow).where(BatchRow.batch_id == batch_id).values(cancel_asked_at=datetime.now(UTC))
        )


def missing(ledger: Ledger, batch_id: str) -> datetime:
    """Put on record that the provider says it has no such batch, or no results of it; since when it has said so."""
    now = datetime.now(UTC)
    with ledger.write() as connection:
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.missing_since.is_(None))
            .values(missing_since=now)
        )
        since = connection.scalar(select(BatchRow.missing_since).where(BatchRow.batch_id == batch_id))
    return since or now


def not_missing(ledger: Ledger, batch_id: str) -> None:
    """Put on record that the provider has a batch that it said it had not."""
    with ledger.write() as connection:
        connection.execute(update(BatchRow).where(BatchRow.batch_id == batch_id).values(missing_since=None))


def given_up(ledger: Ledger, batch_id: str, detail: str, settlements: Sequence[Settlement]) -> None:
    """Leave what a batch did not bring to a person, in one transaction; it is looked at again later."""
    now = datetime.now(UTC)
    with ledger.write() as connection:
        one_at_a_time(connection)
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state.in_(OPEN_STATES))
            .values(
                state=BatchState.ENDED,
                ended_at=now,
                given_up_at=now,
                request_counts={"lost": len(settlements)},
                detail=detail,
            )
        )
        settle(connection, settlements)


def ended(ledger: Ledger, batch_id: str, request_counts: dict[str, Any]) -> None:
    """Put on record that every item of a batch is settled, also of one that was given up before."""
    with ledger.write() as connection:
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id)
            .values(
                state=BatchState.ENDED,
                ended_at=datetime.now(UTC),
                given_up_at=None,
                missing_since=None,
                request_counts=request_counts,
            )
        )


def absent(ledger: Ledger, batch_id: str, detail: str, settlements: Sequence[Settlement]) -> None:
    """Put on record that a batch was never made, and end its attempts with it, in one transaction.

    A batch that got its provider id meanwhile is left as it is.
    """
    with ledger.write() as connection:
        one_at_a_time(connection)
        changed = connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state == BatchState.PREPARED)
            .values(state=BatchState.ABSENT, ended_at=datetime.now(UTC), detail=detail)
        )
        if changed.rowcount:
            settle(connection, settlements)


def open_batch(ledger: Ledger, batch_id: str) -> OpenBatch | None:
    """A batch as it stands on record, or None when nothing is left to be done about it."""
    found = _open(ledger, BatchRow.batch_id == batch_id, BatchRow.state.in_(OPEN_STATES) | _GIVEN_UP)
    return found[0] if found else None


def open_of_run(ledger: Ledger, run_id: RunId) -> list[OpenBatch]:
    """The open batches that a run made, and those that rows of it wait for, whichever run made them."""
    waited_for = (
        select(AttemptRow.batch_id)
        .join(JobRow, JobRow.attempt_id == AttemptRow.attempt_id)
        .where(JobRow.run_id == run_id, AttemptRow.batch_id.is_not(None))
    )
    return _open(
        ledger,
        (BatchRow.run_id == run_id) | BatchRow.batch_id.in_(waited_for),
        BatchRow.state.in_(OPEN_STATES),
    )


def left_by_ended_runs(ledger: Ledger) -> list[OpenBatch]:
    """Batches that ended runs left behind: given up while their results may be had, or open and waited for by no row."""
    may_be_had = BatchRow.prepared_at > datetime.now(UTC) - RESULTS_KEPT
    return _open(
        ledger,
        RunRow.ended_at.is_not(None),
        BatchRow.provider_batch_id.is_not(None),
        (_GIVEN_UP & may_be_had) | BatchRow.state.in_(OPEN_STATES),
    )


_GIVEN_UP = BatchRow.given_up_at.is_not(None)


def _open(ledger: Ledger, *which: ColumnElement[bool]) -> list[OpenBatch]:
    query = (
        select(*_OPEN_COLUMNS)
        .join(RunRow, RunRow.run_id == BatchRow.run_id)
        .where(*which)
        .order_by(BatchRow.prepared_at)
    )
    with ledger.read() as connection:
        return [OpenBatch(*row) for row in connection.execute(query)]


def accounted_for(ledger: Ledger, provider_ids: Sequence[str]) -> set[str]:
    """Those of the provider's ids that a batch on record has."""
    query = select(BatchRow.provider_batch_id).where(BatchRow.provider_batch_id.in_(provider_ids))
    with ledger.read() as connection:
        return {provider_id for provider_id in connection.scalars(query) if provider_id}


def made_by(ledger: Ledger, run_id: RunId) -> int:
    """How many provider batches a run made."""
    query = (
        select(func.count())
        .select_from(BatchRow)
        .where(BatchRow.run_id == run_id, BatchRow.provider_batch_id.is_not(None))
    )
    with ledger.read() as connection:
        return connection.scalar(query) or 0
