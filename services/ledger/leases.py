"""Leases: who may work on a run for a while. The owner has a fencing token, the deadline is by the database's clock.

A guess about who is alive may cost time, never money: whoever lets bytes leave, or takes money for it, shows its token
in the same transaction, and a token that was replaced lets nothing through.
"""

from functools import cache
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, String, exists, func, or_, select, text, update

from schemas.ledger import RunRow
from schemas.run import RunKey
from schemas.settings import Settings
from services.ledger.store import Ledger, NotOwner
from services.ledger.windows import one_at_a_time
from services.this_process import ProcessIdentity, this_process


@cache
def lease_seconds() -> int:
    """How long a lease holds that is taken or renewed now, as the environment of this process said at first, seconds."""
    return Settings().lease_seconds


def new_token() -> str:
    """A fencing token that nobody has had."""
    return uuid4().hex


def database_now(connection: Connection) -> ColumnElement[object]:
    """The moment by the database's clock, as its columns hold moments."""
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp()
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", type_=String())


def lease_end(connection: Connection) -> ColumnElement[object]:
    """The moment at which a lease that is taken now ends, by the database's clock."""
    seconds = lease_seconds()
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp() + text(f"interval '{seconds} seconds'")
    return func.strftime("%Y-%m-%d %H:%M:%f000", "now", f"+{seconds} seconds", type_=String())


def is_over(connection: Connection) -> ColumnElement[bool]:
    """Whether the lease of a run has ended, or nobody holds it."""
    return or_(
        RunRow.owner.is_(None), RunRow.lease_until.is_(None), RunRow.lease_until <= database_now(connection)
    )


def is_owned(run: RunKey) -> ColumnElement[bool]:
    """Whether a run has this owner, as a condition of the statement that acts for it."""
    return exists().where(RunRow.run_id == run.run_id, RunRow.owner == run.owner)


def renew(ledger: Ledger, run: RunKey, calls: dict[str, int] | None = None) -> bool:
    """Prolong a lease; False when the run has another owner, or none.

    Args:
        ledger: the ledger.
        run: the run, with its owner's token.
        calls: made for the run so far, to be kept with it.
    """
    with ledger.write() as connection:
        values = {"heartbeat_at": database_now(connection), "lease_until": lease_end(connection)}
        prolonged = connection.execute(
            update(RunRow)
            .where(RunRow.run_id == run.run_id, RunRow.owner == run.owner)
            .values(**values, **({"calls": calls} if calls else {}))
        )
    return bool(prolonged.rowcount)


def claim(connection: Connection, run_id: str, seen: str | None) -> str | None:
    """Take a run over from an owner that counts as gone; the new token, or None when somebody else was quicker.

    Args:
        connection: the caller's transaction.
        run_id: the run.
        seen: the owner's token when the caller judged that it is gone.
    """
    one_at_a_time(connection)
    token = new_token()
    taken = connection.execute(
        update(RunRow)
        .where(RunRow.run_id == run_id, RunRow.ended_at.is_(None), RunRow.owner.is_not_distinct_from(seen))
        .values(
            owner=token,
            lease_until=lease_end(connection),
            heartbeat_at=database_now(connection),
            **process_columns(this_process()),
        )
    )
    return token if taken.rowcount else None


def release(connection: Connection, run: RunKey) -> None:
    """Give a run back: whoever comes next may take it over at once."""
    connection.execute(
        update(RunRow)
        .where(RunRow.run_id == run.run_id, RunRow.owner == run.owner)
        .values(owner=None, lease_until=None)
    )


def assert_owner(connection: Connection, run: RunKey) -> None:
    """Let a transaction go on only for the owner of a run; nobody takes it over until the transaction ends.

    Raises:
        NotOwner: the run was taken over, or given back.
    """
    one_at_a_time(connection)
    owner = connection.scalar(select(RunRow.owner).where(RunRow.run_id == run.run_id))
    if owner != run.owner:
        raise NotOwner(run.run_id)


def process_columns(process: ProcessIdentity) -> dict[str, object]:
    """The columns of a run that say which process works on it."""
    return {
        "host": process.host,
        "pid": process.pid,
        "process_started": process.started,
        "boot_id": process.boot_id,
        "pid_namespace": process.pid_namespace,
    }
