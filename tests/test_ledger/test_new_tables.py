"""A new SQLite ledger is made in one go, and is what its migrations would have made of it."""

import sqlite3

import pytest

from services.ledger import new_tables, open_ledger, store
from services.ledger.new_tables import STATEMENTS, written_down
from services.ledger.tables_version import newest_revision


@pytest.fixture
def stale(monkeypatch, tmp_path):
    """Statements of an earlier version than that of the migrations."""
    file = tmp_path / "new_tables.sql"
    file.write_text(STATEMENTS.read_text().replace(newest_revision(), "0001", 1))
    monkeypatch.setattr(new_tables, "STATEMENTS", file)


@pytest.fixture
def migrations(monkeypatch):
    """Whether Alembic was asked for its migrations, once for each time."""
    asked = []
    upgrade = store._upgrade

    def seen(connection):
        asked.append(True)
        upgrade(connection)

    monkeypatch.setattr(store, "_upgrade", seen)
    return asked


def made(path):
    open_ledger(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()


@pytest.mark.usefixtures("stale")
def test_the_statements_are_those_of_the_migrations(tmp_path):
    path = tmp_path / "migrated.db"
    made(path)
    hint = "run `python -m services.ledger.new_tables` after a migration is added or changed"
    assert written_down(path) == STATEMENTS.read_text(), hint


def test_a_new_ledger_is_made_without_a_migration(tmp_path, migrations):
    made(tmp_path / "new.db")
    assert migrations == []


def test_a_new_ledger_has_the_tables_indexes_views_and_triggers_of_a_migrated_one(tmp_path, request):
    new = made(tmp_path / "new.db")
    request.getfixturevalue("stale")
    assert new == made(tmp_path / "migrated.db")


@pytest.mark.usefixtures("stale")
def test_where_the_statements_are_of_another_version_a_new_ledger_is_migrated(tmp_path, migrations):
    made(tmp_path / "new.db")
    assert migrations == [True]
