"""A new Prefect home has the database that Prefect's own migrations make, and an old one is left alone."""

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from services import prefect_home
from services.prefect_home import empty_database, home_of, make_database
from tests.processes import BIN, clean_environment


def tables(file):
    with closing(sqlite3.connect(file)) as connection:
        return list(connection.iterdump())


def test_a_new_home_gets_a_database_and_an_old_one_keeps_its_own(tmp_path):
    environment = {"PREFECT_HOME": str(tmp_path / "new")}
    assert make_database(environment)
    file = tmp_path / "new/prefect.db"
    assert any('CREATE TABLE "flow_run" (' in statement for statement in tables(file))
    assert sorted(path.name for path in file.parent.iterdir()) == ["prefect.db"]
    file.write_text("mine")
    assert not make_database(environment)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("setting", ["PREFECT_API_DATABASE_CONNECTION_URL", "PREFECT_SERVER_DATABASE_HOST"])
def test_where_the_database_is_elsewhere_none_is_made(tmp_path, setting):
    assert not make_database({"PREFECT_HOME": str(tmp_path), setting: "x"})
    assert list(tmp_path.iterdir()) == []


def test_another_version_of_prefect_makes_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(prefect_home, "version", lambda _: "3.8.80")
    assert not make_database({"PREFECT_HOME": str(tmp_path)})


def test_a_home_that_cannot_be_made_is_left_to_the_server(tmp_path):
    (tmp_path / "file").touch()
    assert not make_database({"PREFECT_HOME": str(tmp_path / "file/home")})


def test_the_home_is_the_users_when_none_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home_of({}) == Path(tmp_path) / ".prefect"


@pytest.mark.slow
def test_the_copy_is_what_the_migrations_of_prefect_make(tmp_path):
    environment = clean_environment(tmp_path)
    command = [BIN / "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=True, timeout=280)
    assert parts(empty_database()) == parts(tmp_path / ".prefect/prefect.db")


def parts(file):
    """The tables, whatever the order of the constraints of a table, which differs from one migrating to the next."""
    return sorted(sorted(line.strip(" ,") for line in statement.splitlines()) for statement in tables(file))
