"""The tables of a new SQLite ledger at once: what its migrations make of an empty file, without Alembic, a quarter of a second.

    python -m services.ledger.new_tables

writes their statements down again after there is a new migration. Without that, a new ledger is migrated as before.
"""

import re
import sqlite3
import tempfile
from pathlib import Path

from sqlalchemy import Connection, inspect

from schemas.errors import BadInput
from schemas.words import printable
from services.ledger.tables_version import ASK_VERSION, newest_revision

STATEMENTS = Path(__file__).with_name("new_tables.sql")
_BETWEEN = ";\n\n"
_TABLE = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
#: where Alembic keeps the version of the tables, for every program that uses it
_VERSIONS = "alembic_version"
_OWN_VERSION = re.compile(r"[0-9]{4}")


def make_tables(connection: Connection) -> bool:
    """Make the tables of this version in an empty SQLite database, inside the caller's transaction; whether it did."""
    if connection.dialect.name != "sqlite":
        return False
    if connection.exec_driver_sql("SELECT 1 FROM sqlite_master").first() is not None:
        return False
    version, *statements = STATEMENTS.read_text().removesuffix(_BETWEEN).split(_BETWEEN)
    if version != _version_line():
        return False
    for statement in statements:
        connection.exec_driver_sql(statement)
    return True


def refuse_others(connection: Connection, found: str | None) -> None:
    """Check that a database is not another program's: an empty one, or with a ledger in it.

    In a file of SQLite nothing but a ledger may be. In a database of PostgreSQL other tables may stand next to it, as long
    as none has the name of one of the ledger's.

    Args:
        connection: to the database.
        found: the version that its tables state, if they do.

    Raises:
        BadInput: with the name of a table that is another program's.
    """
    others = {_VERSIONS}
    if found is None:
        others = set(inspect(connection).get_table_names()) - {_VERSIONS}
        if connection.dialect.name != "sqlite":
            others &= set(_TABLE.findall(STATEMENTS.read_text()))
    elif _OWN_VERSION.fullmatch(found):
        return
    if others:
        shown = connection.engine.url.render_as_string(hide_password=True)
        raise BadInput(
            f"{shown} is the database of another program: it has a table {printable(min(others))} that is none of a "
            "ledger's. Name another one with --ledger or WEIGHBRIDGE_LEDGER. Nothing was changed or sent."
        )


def _version_line() -> str:
    return f"-- The tables of version {newest_revision()}, by services/ledger/new_tables.py"


def written_down(path: Path) -> str:
    """The statements that make the tables of a migrated SQLite ledger.

    Args:
        path: the ledger, of this version.
    """
    with sqlite3.connect(path) as connection:
        made = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")
        statements = [sql for (sql,) in made]
        (version,) = connection.execute(ASK_VERSION).fetchone()
    connection.close()
    statements.append(f"INSERT INTO alembic_version VALUES ('{version}')")  # noqa: S608 - of our own migrations
    parts = [_version_line(), *statements]
    return "".join(part + _BETWEEN for part in parts)


def main() -> None:
    """Write down what the migrations make."""
    from services.ledger.store import open_ledger  # noqa: PLC0415 - it imports this module

    STATEMENTS.write_text("")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        open_ledger(f"sqlite:///{path}").close()
        STATEMENTS.write_text(written_down(path))


if __name__ == "__main__":
    main()
