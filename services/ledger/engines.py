"""Engines: the connections to a ledger's database, which behave alike whatever the database's defaults are."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from schemas.errors import BadInput
from schemas.ledger_place import with_driver

#: how long a writer waits for another one, seconds
BUSY_SECONDS = 60
#: the most of a file that a SQLite connection keeps in memory, KiB; the system keeps the rest, once for all of them
_CACHE_KIB = 8_192
#: what all connections of a process keep together, bytes: beyond it each takes the oldest of its own pages again
_CACHES_BYTES = 24_000_000

#: an error's text ends up in logs and Prefect states, so it must not quote the rows
_DISCREET: dict[str, Any] = {"hide_parameters": True}


def writing_engine(url: str) -> Engine:
    """The connections that a ledger is written through; a SQLite file's folder is made.

    Raises:
        BadInput: the URL cannot be used.
    """
    return _engine_at(url, _writing)


def reading_engine(url: str) -> Engine:
    """Connections that cannot write; a SQLite file is not made.

    Raises:
        BadInput: the URL cannot be used.
    """
    return _engine_at(url, _reading)


def _engine_at(url: str, make: Callable[[URL], Engine]) -> Engine:
    try:
        return make(make_url(with_driver(url)))
    except (ArgumentError, ImportError, ValueError, OSError) as error:
        raise BadInput(
            f"The ledger URL cannot be used ({type(error).__name__}); write it like {_written_like(url)} "
            "or postgresql+psycopg://user@host/database."
        ) from error


def _written_like(url: str) -> str:
    """How a SQLite ledger is named: the path that somebody named it by, unless it may be an address with a password."""
    is_path = url and not set(url) & set("@:?%") and url.isprintable()
    return f"sqlite:///{url}" if is_path else "sqlite:////folder/ledger.db"


def _reading(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_engine(url, pool_pre_ping=True, execution_options=options, **_DISCREET)
    if "uri" not in url.query:
        url = url.set(database=f"file:{quote(str(Path(url.database or '').absolute()))}")
    url = url.update_query_dict({"uri": "true", "mode": "ro"})
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **_DISCREET)
    event.listen(engine, "connect", _begin_by_hand)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _writing(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        # whatever the database's default: who has waited for the money lock must see what was committed meanwhile
        engine = create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", **_DISCREET)
        if engine.dialect.name == "postgresql":
            event.listen(engine, "connect", _commit_for_good)
        return engine
    if url.database in (None, "", ":memory:"):
        raise BadInput(
            "A ledger in memory is gone with its command, and with it what was paid for. Name a file, such as "
            "sqlite:////folder/ledger.db. Nothing was sent."
        )
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **_DISCREET)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _begin_by_hand(connection: object, _record: object) -> None:
    connection.isolation_level = None  # type: ignore[attr-defined]  # BEGIN is ours, see _begin_sqlite


def _commit_for_good(connection: Any, _record: object) -> None:
    """Have commits survive a crash of the server also where the database's default is otherwise; see `_set_pragmas`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


def _set_pragmas(connection: object, record: object) -> None:
    _begin_by_hand(connection, record)
    cursor = connection.cursor()  # type: ignore[attr-defined]
    _enter_wal(cursor)
    # FULL: a commit survives a power cut, so an attempt on record is on record when its bytes leave
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.execute(f"PRAGMA soft_heap_limit = {_CACHES_BYTES}")
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
