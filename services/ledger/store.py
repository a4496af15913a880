"""Opening the ledger, and its two kinds of transaction."""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from schemas.errors import BadInput, RunFailed
from schemas.ledger_place import with_driver
from schemas.table import Table
from schemas.words import masked_url
from services.ledger.asking import Asked
from services.ledger.engines import reading_engine, writing_engine
from services.ledger.new_tables import make_tables, refuse_others
from services.ledger.tables_version import ASK_VERSION, MIGRATIONS, newest_revision
from services.whole_thread import on_whole_thread

log = logging.getLogger("weighbridge")

#: any constant: the PostgreSQL advisory lock that lets one process migrate at a time
_MIGRATION_LOCK = 7_190_415

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")

#: SQLSTATE classes and states that say "not now": connection, resources, operator, deadlock, serialization (source:
#: PostgreSQL documentation, appendix A)
_PASSING_CLASSES = ("08", "53", "57", "58")
_PASSING_STATES = ("40001", "40P01", "55P03")
#: how often and how long a transaction is tried again that could not be begun, seconds
_BEGIN_PAUSE = 2
_PATIENCE_SECONDS = 1_800


@contextmanager
def _discreet() -> Iterator[None]:
    """A database error as a sentence: PostgreSQL's own text quotes the whole row that it refused."""
    try:
        yield
    except DBAPIError as error:
        diagnosis = getattr(error.orig, "diag", None)
        rule = getattr(diagnosis, "constraint_name", None) or type(error.orig).__name__
        if _passes(error):
            raise LedgerUnavailable(
                f"The ledger could not be written ({rule}): it is locked by another program, may only be read, "
                "is full, or its database does not answer. The transaction was undone, and what was on record before is "
                "kept."
            ) from None
        raise RunFailed(
            f"The ledger refused a statement ({rule}); its transaction was undone, and what was on record before is kept."
        ) from None


class LedgerUnavailable(RunFailed):
    """The ledger cannot be written just now; the same transaction may go through later."""


def _passes(error: DBAPIError) -> bool:
    """Whether a database error says nothing against the statement: a lock, a lost connection, a deadlock."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state[:2] in _PASSING_CLASSES or state in _PASSING_STATES
    return isinstance(error, OperationalError)


class NotOwner(Exception):  # noqa: N818 - reads as what it is where it is caught
    """Another process has taken a run over: this one may neither send nor hold money for it any more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"{run_id} was taken over by another process")


class Ledger:
    """A migrated ledger. Transactions are the only way in.

    Args:
        engine: a SQLAlchemy engine; SQLite engines come from `open_ledger`, which sets their pragmas.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite lets one writer in and makes the others look again after a while: in one process they queue up instead
        self._writing: AbstractContextManager[Any] = nullcontext()
        if engine.dialect.name == "sqlite":
            self._writing = threading.Lock()
        self._file: tuple[str, tuple[int, int]] | None = None
        path = engine.url.database if engine.dialect.name == "sqlite" else None
        if path and path != ":memory:" and (identity := _file_identity(path)):
            self._file = (path, identity)

    @property
    def url(self) -> str:
        """The URL, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One writing transaction: committed at the end, rolled back on an exception.

        SQLite admits one writer at a time from its BEGIN on, so what is read inside stays true to its end. While
        another program holds the ledger, or its server restarts, this waits, and says so.

        Raises:
            LedgerUnavailable: the ledger stayed locked or away for half an hour, or went away in mid-transaction.
            RunFailed: the ledger refused a statement, or its file was replaced.
        """
        with self._writing, _discreet(), self._begun() as connection:
            self._assert_same_file()
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        """A transaction that has begun: nothing was written before, so that beginning can be tried again."""
        waited_since = time.monotonic()
        while True:
            transaction = self.engine.begin()
            try:
                connection = transaction.__enter__()
            except DBAPIError as error:
                if not _passes(error) or time.monotonic() - waited_since > _PATIENCE_SECONDS:
                    raise
                log.warning(
                    "The ledger %s cannot be written just now (%s): another program holds it, or its database does not "
                    "answer. Nothing is sent meanwhile; it is tried again.",
                    self.url,
                    type(error.orig).__name__,
                )
                time.sleep(_BEGIN_PAUSE)
                continue
            break
        try:
            yield connection
        except BaseException:
            if not transaction.__exit__(*sys.exc_info()):
                raise
        else:
            transaction.__exit__(None, None, None)

    def _assert_same_file(self) -> None:
        """Refuse to write into a file that nobody will find: the one at the path is another one by now."""
        if self._file is None:
            return
        path, identity = self._file
        if _file_identity(path) != identity:
            raise RunFailed(
                f"The ledger file {path} was deleted or replaced while it was in use. Nothing more was sent; put the "
                "file back, or name another ledger, and run again."
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One reading transaction, which never waits for a writer."""
        with (
            _discreet(),
            self.engine.connect().execution_options(reading=True) as connection,
            connection.begin(),
        ):
            yield connection

    async def off_loop(
        self,
        step: "Callable[Concatenate[Ledger, Arguments], Found]",
        *args: Arguments.args,
        **options: Arguments.kwargs,
    ) -> Found:
        """What a function of the ledger returns, called on a thread so that the event loop goes on meanwhile.

        A transaction that was undone by a lock, a deadlock or a lost connection is tried again a few times.
        """
        for pause in (0.1, 1, 5, 15):
            try:
                return await on_whole_thread(step, self, *args, **options)
            except LedgerUnavailable as error:
                log.warning("%s It is tried again.", error)
                await asyncio.sleep(pause)
        return await on_whole_thread(step, self, *args, **options)

    def close(self) -> None:
        self.engine.dispose()


def _file_identity(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_lasting_url(url: str) -> bool:
    """Whether a ledger's URL names the same place from every folder."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return True  # refused when it is opened, with a sentence of its own
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_absolute()


def open_ledger(url: str) -> Ledger:
    """The ledger at `url`, created or migrated to this version's tables.

    Args:
        url: any SQLAlchemy URL, such as sqlite:////srv/weighbridge/ledger.db or postgresql+psycopg://...

    Raises:
        BadInput: the URL is no database URL, its driver is not installed, or it is another program's database.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    engine = writing_engine(url)
    try:
        _migrate(engine)
    except DBAPIError as error:
        raise RunFailed(
            f"The ledger {engine.url.render_as_string(hide_password=True)} cannot be opened "
            f"({type(error.orig).__name__}). Nothing was sent; check that it is there and may be written."
        ) from error
    return Ledger(engine)


def open_to_read(url: str) -> Ledger:
    """The ledger at `url` as it stands: it is neither created nor migrated, and nothing can be written to it.

    Each of its transactions sees the ledger as it was at one moment. Its tables may be of another version: see
    `revision` and `newest_revision`.

    Raises:
        BadInput: the URL is no database URL, or its driver is not installed, or no ledger is there.
        RunFailed: the database does not answer.
    """
    engine = reading_engine(url)
    shown = masked_url(with_driver(url))
    try:
        with engine.connect().execution_options(reading=True) as connection:
            is_there = revision(connection) is not None
    except DBAPIError as error:
        raise RunFailed(
            f"The ledger {shown} cannot be read "
            f"({type(error.orig).__name__}). Nothing was changed; check that it is there and is a ledger."
        ) from error
    if not is_there:
        raise BadInput(
            f"There are no tables of a ledger at {shown}. Name another "
            "database with --ledger or WEIGHBRIDGE_LEDGER. Nothing was changed."
        )
    return Ledger(engine)


def revision(connection: Connection) -> str | None:
    """The version of the tables of a ledger; None where there are none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text(ASK_VERSION))
    return found


def values_of(connection: Connection) -> Asked:
    """What asks this connection a statement in plain SQL."""

    def ask(sql: str, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        return connection.execute(text(sql), values).fetchall()

    return ask


def _migrate(engine: Engine) -> None:
    with engine.connect().execution_options(reading=True) as connection:
        if revision(connection) == newest_revision():
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        refuse_others(connection, revision(connection))
        if not make_tables(connection):
            _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    # where there is nothing to migrate, nobody waits for Alembic to be imported
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except Exception as error:
        if "Can't locate revision" in str(error):
            raise RunFailed(
                "The ledger was made by a newer version of Weighbridge; use that version, or another ledger."
            ) from error
        raise


def upsert(connection: Connection, table: type[Table]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT into a table that takes `on_conflict_do_update`, in the words of the connection's database."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def storable(detail: str | None) -> str | None:
    """A text that came from outside as one that every database stores: no NUL, and no half of a surrogate pair."""
    return detail and detail.replace("\0", "?").encode("utf-8", "replace").decode("utf-8")
