"""Asking the ledger in plain SQL, for typed rows. Nothing is written.

A SQLite ledger is read by Python's own module: SQLAlchemy and Alembic take three times as long to import as such an
answer may take. Any other ledger is opened as always, and asked in the same words.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints
from urllib.parse import quote

from schemas.errors import BadInput, RunFailed
from schemas.ledger_place import plain_sqlite_file
from schemas.moment import in_utc
from schemas.words import masked_url
from services.ledger.tables_version import ASK_VERSION, newest_revision

#: how long a look waits for a writer that is just changing the file, seconds
_BUSY_SECONDS = 10
#: asks a ledger a statement with named values, for all its rows
Asked = Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]
Line = TypeVar("Line")
_Reader = Callable[[Any], Any]


@contextmanager
def asking(url: str) -> Iterator[Asked]:
    """Something to ask the ledger with, all in one transaction. One of an earlier version is brought up to date first.

    Args:
        url: a SQLAlchemy URL.

    Raises:
        BadInput: no ledger is there.
        RunFailed: the database does not answer, or was made by a newer version.
    """
    file = plain_sqlite_file(url)
    if file is None:
        with _asking_database(url) as ask:
            yield ask
        return
    try:
        with closing(_opened(file)) as connection:
            is_current = connection.execute(ASK_VERSION).fetchall() == [(newest_revision(),)]
        if not is_current:
            _bring_up_to_date(url)
        with closing(_opened(file)) as connection:
            connection.execute("BEGIN")
            yield lambda sql, values: connection.execute(sql, values).fetchall()
    except sqlite3.DatabaseError as error:
        raise _unreadable(url, error) from error


def _opened(file: Path) -> sqlite3.Connection:
    address = f"file:{quote(str(file.absolute()))}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _unreadable(url: str, error: sqlite3.DatabaseError) -> BadInput | RunFailed:
    if str(error).startswith("no such"):
        return BadInput(
            f"There are no tables of a ledger at {masked_url(url)}. Name another one with --ledger or "
            "WEIGHBRIDGE_LEDGER. Nothing was changed."
        )
    return RunFailed(
        f"The ledger {masked_url(url)} cannot be read ({type(error).__name__}). Nothing was changed; check that it is "
        "there and is a ledger."
    )


def _bring_up_to_date(url: str) -> None:
    from services.ledger.store import open_ledger  # noqa: PLC0415 - see the top

    open_ledger(url).close()


@contextmanager
def _asking_database(url: str) -> Iterator[Asked]:
    from services.ledger.store import open_to_read, revision, values_of  # noqa: PLC0415 - see the top

    with closing(open_to_read(url)) as ledger:
        with ledger.read() as connection:
            is_current = revision(connection) == newest_revision()
        if not is_current:
            _bring_up_to_date(url)
        with ledger.read() as connection:
            yield values_of(connection)


def read_lines(kind: Callable[..., Line], rows: Sequence[Sequence[Any]]) -> list[Line]:
    """Rows as what they are: SQLite has neither moments nor truth, and keeps a decimal number as a float.

    Args:
        kind: a dataclass or a named tuple.
        rows: their values in the order of its fields.
    """
    hints = get_type_hints(kind)
    names: tuple[str, ...] = kind.__match_args__  # type: ignore[attr-defined]  # both have it
    read_as = [_reader(hints[name]) for name in names]
    return [kind(*(read(value) for read, value in zip(read_as, row, strict=True))) for row in rows]


def _reader(hint: Any) -> _Reader:
    """What makes a value of a column that which the row's field is."""
    kinds = [get_origin(kind) or kind for kind in getattr(hint, "__args__", (hint,))]
    for kind in (one for one in kinds if isinstance(one, type)):
        if kind is bool or issubclass(kind, StrEnum):
            return kind
        if kind in _READERS:
            return _READERS[kind]
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def _moment(value: str | datetime | None) -> datetime | None:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return None if moment is None else in_utc(moment)


def _amount(value: float | Decimal | None) -> Decimal | None:
    return Decimal(f"{value:.9f}") if isinstance(value, float | int) else value


def _object(value: str | dict[str, Any] | None) -> dict[str, Any] | None:
    """SQLite has JSON as text, and keeps an object that there is not as the text null."""
    found: dict[str, Any] | None = json.loads(value) if isinstance(value, str) else value
    return found


_READERS: dict[type, _Reader] = {datetime: _moment, Decimal: _amount, dict: _object}
