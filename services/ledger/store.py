"""Opening the ledger, and its two kinds of transaction."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError

from schemas.errors import BadInput, RunFailed
from schemas.table import Table

MIGRATIONS = Path(__file__).parent / "migrations"
#: how long a writer waits for another one, seconds
BUSY_SECONDS = 60
#: the most of a file that a SQLite connection keeps in memory, KiB: a decision about a whole night touches that much
_CACHE_KIB = 65_536
#: any constant: the PostgreSQL advisory lock that lets one process migrate at a time
_MIGRATION_LOCK = 7_190_415

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")

#: an error's text ends up in logs and Prefect states, so it must not quote the rows
_DISCREET: dict[str, Any] = {"hide_parameters": True}


@contextmanager
def _discreet() -> Iterator[None]:
    """A database error as a sentence: PostgreSQL's own text quotes the whole row that it refused."""
    try:
        yield
    except DBAPIError as error:
        diagnosis = getattr(error.orig, "diag", None)
        rule = getattr(diagnosis, "constraint_name", None) or type(error.orig).__name__
        raise RunFailed(
            f"The ledger refused a statement ({rule}); its transaction was undone, and what was on record before is kept."
        ) from None


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

    @property
    def url(self) -> str:
        """The URL, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One writing transaction: committed at the end, rolled back on an exception.

        SQLite admits one writer at a time from its BEGIN on, so what is read inside stays true to its end.
        """
        with _discreet(), self.engine.begin() as connection:
            yield connection

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
        """What a function of the ledger returns, called on a thread so that the event loop goes on meanwhile."""
        return await asyncio.to_thread(step, self, *args, **options)

    def close(self) -> None:
        self.engine.dispose()


def open_ledger(url: str) -> Ledger:
    """The ledger at `url`, created or migrated to this version's tables.

    Args:
        url: any SQLAlchemy URL, such as sqlite:////srv/weighbridge/ledger.db or postgresql+psycopg://...

    Raises:
        BadInput: the URL is no database URL, or its driver is not installed.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    try:
        parsed = make_url(url)
        engine = _engine(parsed)
    except (ArgumentError, ImportError, ValueError, OSError) as error:
        raise BadInput(
            f"The ledger URL cannot be used ({type(error).__name__}); write it like sqlite:////folder/ledger.db "
            "or postgresql+psycopg://user@host/database."
        ) from error
    try:
        _migrate(engine)
    except DBAPIError as error:
        raise RunFailed(
            f"The ledger {parsed.render_as_string(hide_password=True)} cannot be opened "
            f"({type(error.orig).__name__}). Nothing was sent; check that it is there and may be written."
        ) from error
    return Ledger(engine)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, **_DISCREET)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **_DISCREET)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_pragmas(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # BEGIN is ours, see _begin_sqlite
    cursor = connection.cursor()  # type: ignore[attr-defined]
    _enter_wal(cursor)
    # FULL: a commit survives a power cut, so an attempt on record is on record when its bytes leave
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()


def _enter_wal(cursor: Any) -> None:
    """Switch a file to WAL once. SQLite answers "locked" at once when another process is just doing so."""
    for _ in range(BUSY_SECONDS * 20):
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            time.sleep(0.05)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    newest = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect().execution_options(reading=True) as connection:
        if MigrationContext.configure(connection).get_current_revision() == newest:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
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
    """A detail may quote the API's words; no database text holds a NUL."""
    return detail and detail.replace("\0", "?")
