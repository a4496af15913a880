"""Batches on record: before they are created, while the provider works, and when every item is settled."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import bindparam, func, insert, select, update

from schemas.attempt import Settlement, UnsettledAttempt
from schemas.batch import OpenBatch
from schemas.job import AttemptId, RunId
from schemas.ledger import AttemptRow, BatchRow, JobRow
from schemas.outcome import AttemptState, BatchState
from schemas.payload.traits import Traits
from services.ledger.settle import settle
from services.ledger.store import Ledger
from services.ledger.windows import one_at_a_time

OPEN_STATES = (BatchState.PREPARED, BatchState.SUBMITTED)


_OPEN_COLUMNS = (
    BatchRow.batch_id,
    BatchRow.run_id,
    BatchRow.provider_batch_id,
    BatchRow.requests,
    BatchRow.prepared_at,
    BatchRow.doubtful_since,
)


def prepare(ledger: Ledger, run_id: RunId, attempts: Sequence[AttemptId], request_bytes: int) -> OpenBatch:
    """Put a batch and its attempts on record, as about to leave, in one transaction."""
    now = datetime.now(UTC)
    batch = OpenBatch(f"bat_{uuid4().hex}", run_id, None, len(attempts), now)
    with ledger.write() as connection:
        connection.execute(
            insert(BatchRow).values(
                batch_id=batch.batch_id,
                run_id=run_id,
                state=BatchState.PREPARED,
                requests=batch.requests,
                request_bytes=request_bytes,
                prepared_at=now,
            )
        )
        connection.execute(
            update(AttemptRow)
            .where(AttemptRow.attempt_id == bindparam("r_id"), AttemptRow.state == AttemptState.OPEN)
            .values(batch_id=batch.batch_id, sent_at=now),
            [{"r_id": attempt_id} for attempt_id in attempts],
        )
    return batch


def doubtful(ledger: Ledger, batch_id: str) -> None:
    """Put on record that the creation of a batch is over and brought no answer."""
    with ledger.write() as connection:
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state == BatchState.PREPARED)
            .values(doubtful_since=datetime.now(UTC))
        )


def submitted(ledger: Ledger, batch_id: str, provider_batch_id: str, expires_at: datetime | None) -> bool:
    """Put on record under which id the provider has a batch; False when it was given up before."""
    with ledger.write() as connection:
        changed = connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id, BatchRow.state == BatchState.PREPARED)
            .values(
                state=BatchState.SUBMITTED,
                provider_batch_id=provider_batch_id,
                submitted_at=datetime.now(UTC),
                expires_at=expires_at,
            )
        )
    return bool(changed.rowcount)


def ended(ledger: Ledger, batch_id: str, request_counts: dict[str, Any]) -> None:
    """Put on record that every item of a batch is settled."""
    with ledger.write() as connection:
        connection.execute(
            update(BatchRow)
            .where(BatchRow.batch_id == batch_id)
            .values(state=BatchState.ENDED, ended_at=datetime.now(UTC), request_counts=request_counts)
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


def attempts_of(ledger: Ledger, batch_id: str) -> list[UnsettledAttempt]:
    """The attempts of a batch that are not settled: what settling them asks, and how often their job was tried in the run."""
    tried = (
        select(func.count())
        .where(AttemptRow.run_id == JobRow.run_id, AttemptRow.row_number == JobRow.row_number)
        .correlate(JobRow)
        .scalar_subquery()
    )
    query = (
        select(
            AttemptRow.attempt_id,
            AttemptRow.model,
            AttemptRow.opened_at,
            JobRow.cache_ttl,
            JobRow.traits,
            tried.label("tried"),
        )
        .join(JobRow, (JobRow.run_id == AttemptRow.run_id) & (JobRow.row_number == AttemptRow.row_number))
        .where(
            AttemptRow.batch_id == batch_id,
            AttemptRow.state.in_([AttemptState.OPEN, AttemptState.UNKNOWN]),
        )
    )
    with ledger.read() as connection:
        return [
            UnsettledAttempt(
                attempt_id=AttemptId(row.attempt_id),
                model=row.model,
                opened_at=row.opened_at,
                cache_ttl=row.cache_ttl,
                traits=Traits.from_json(row.traits),
                tried=row.tried,
            )
            for row in connection.execute(query)
        ]


def open_batch(ledger: Ledger, batch_id: str) -> OpenBatch | None:
    """A batch as it stands on record, or None when nothing is left to be done about it."""
    query = select(*_OPEN_COLUMNS).where(BatchRow.batch_id == batch_id, BatchRow.state.in_(OPEN_STATES))
    with ledger.read() as connection:
        row = connection.execute(query).first()
    return OpenBatch(*row) if row else None


def open_of_run(ledger: Ledger, run_id: RunId) -> list[OpenBatch]:
    """The batches that rows of a run wait for, whichever run made them."""
    query = (
        select(*_OPEN_COLUMNS)
        .distinct()
        .join(AttemptRow, AttemptRow.batch_id == BatchRow.batch_id)
        .join(JobRow, JobRow.attempt_id == AttemptRow.attempt_id)
        .where(JobRow.run_id == run_id, BatchRow.state.in_(OPEN_STATES))
    )
    with ledger.read() as connection:
        return [OpenBatch(*row) for row in connection.execute(query)]


def known_provider_ids(ledger: Ledger, since: datetime) -> set[str]:
    """The provider's ids of batches that are accounted for."""
    query = select(BatchRow.provider_batch_id).where(
        BatchRow.provider_batch_id.is_not(None), BatchRow.prepared_at >= since
    )
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
