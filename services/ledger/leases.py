"""Leases: who may work on a run for a while. The owner has a fencing token, the deadline is by the database's clock.

A guess about who is alive may cost time, never money: whoever lets bytes leave, or takes money for it, shows its token
in the same transaction, and a token that was replaced lets nothing through.
"""

from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, String, func, literal, or_, select, text, update

from schemas.job import RunId
from schemas.ledger import RunRow
from schemas.run import Ownership
from services.ledger.store import Ledger, NotOwner
from services.this_process import ProcessIdentity, this_process

#: how long an owner counts as alive after its last beat, seconds; WEIGHBRIDGE_LEASE_SECONDS
DEFAULT_LEASE_SECONDS = 300


def new_token() -> str:
    """A fencing token that nobody has had."""
    return uuid4().hex


def database_now(connection: Connection) -> ColumnElement[object]:
    """The moment by the database's clock, as its columns hold moments."""
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp()
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=String())


def lease_end(connection: Connection, seconds: int) -> ColumnElement[object]:
    """The moment at which a lease that is taken now ends, by the database's clock."""
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp() + text(f"interval '{int(seconds)} seconds'")
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", f"+{int(seconds)} seconds", type_=String())


def is_expired(connection: Connection) -> ColumnElement[bool]:
    """Whether a run's owner counts as gone: nobody owns it, or its lease has ended."""
    ended = RunRow.lease_until.is_(None) | (
        func.coalesce(RunRow.lease_until, literal(None)).op("<=")(database_now(connection))
    )
    return or_(RunRow.owner.is_(None), ended)


def renew(ledger: Ledger, run_id: RunId, token: str, seconds: int) -> bool:
    """Prolong a lease; False when the run has another owner, or none."""
    with ledger.write() as connection:
        prolonged = connection.execute(
            update(RunRow)
            .where(RunRow.run_id == run_id, RunRow.owner == token)
            .values(heartbeat_at=database_now(connection), lease_until=lease_end(connection, seconds))
        )
    return bool(prolonged.rowcount)


def claim(
    connection: Connection, run_id: str, seen: Ownership, seconds: int = DEFAULT_LEASE_SECONDS
) -> str | None:
    """Take a run over from an owner that counts as gone; the new token, or None when somebody else was quicker.

    Args:
        connection: the caller's transaction.
        run_id: the run.
        seen: its ownership as the caller judged it.
        seconds: how long the new lease lasts.
    """
    token, process = new_token(), this_process()
    taken = connection.execute(
        update(RunRow)
        .where(
            RunRow.run_id == run_id, RunRow.ended_at.is_(None), RunRow.owner.is_not_distinct_from(seen.owner)
        )
        .values(
            owner=token,
            lease_until=lease_end(connection, seconds),
            heartbeat_at=database_now(connection),
            **process_columns(process),
        )
    )
    return token if taken.rowcount else None


def release(connection: Connection, run_id: str, token: str) -> None:
    """Give a run back: whoever comes next may take it over at once."""
    connection.execute(
        update(RunRow)
        .where(RunRow.run_id == run_id, RunRow.owner == token)
        .values(owner=None, lease_until=None)
    )


def assert_owner(connection: Connection, run_id: str, token: str) -> None:
    """Let the transaction go on only for the owner of a run.

    On PostgreSQL the caller holds the lock of `one_at_a_time`, as whoever takes a run over does.

    Raises:
        NotOwner: the run was taken over, or given back.
    """
    owner = connection.scalar(select(RunRow.owner).where(RunRow.run_id == run_id))
    if owner != token:
        raise NotOwner(run_id)


def process_columns(process: ProcessIdentity) -> dict[str, object]:
    """The columns of a run that say which process works on it."""
    return {
        "host": process.host,
        "pid": process.pid,
        "process_started": process.started,
        "boot_id": process.boot_id,
        "pid_namespace": process.pid_namespace,
    }
