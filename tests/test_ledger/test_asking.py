"""Asking in plain SQL: a ledger of this version, an earlier one that is brought up to date, and what is none."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import BadInput, RunFailed
from schemas.outcome import ReviewStatus
from services.ledger.asking import asking, read_lines
from services.ledger.tables_version import ASK_VERSION, newest_revision
from tests.processes import ROOT
from tests.strategies import begin

EARLIER = (ROOT / "tests/data/ledger_0006.sql").read_text()


class Weighed(NamedTuple):
    at: datetime | None
    usd: Decimal | None
    simulated: bool
    status: ReviewStatus
    tokens: int | None


@dataclass(frozen=True)
class WeighedAgain:
    at: datetime
    usd: Decimal
    tokens: int


def test_both_databases_are_asked_in_the_same_words(ledger, ledger_url):
    begin(ledger)
    with asking(ledger_url) as ask:
        assert [
            tuple(row) for row in ask("SELECT run_id FROM runs WHERE run_id = :run", {"run": "run-1"})
        ] == [("run-1",)]
        assert [tuple(row) for row in ask(ASK_VERSION, {})] == [(newest_revision(),)]


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date_first(tmp_path):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(EARLIER)
        assert connection.execute(ASK_VERSION).fetchall() == [("0006",)]
    with asking(f"sqlite:///{path}") as ask:
        assert ask(ASK_VERSION, {}) == [(newest_revision(),)]


def test_a_ledger_of_a_newer_version_is_refused_and_kept(tmp_path):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES ('9999')"
        )
    with pytest.raises(RunFailed, match="made by a newer version"), asking(f"sqlite:///{path}"):
        pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(ASK_VERSION).fetchall() == [("9999",)]


def test_another_programs_database_is_refused_and_gets_no_tables(tmp_path):
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    with pytest.raises(BadInput, match="no tables of a ledger"), asking(f"sqlite:///{path}"):
        pass
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_an_empty_postgresql_database_is_refused(postgres_url):
    with pytest.raises(BadInput, match="no tables of a ledger"), asking(postgres_url):
        pass


def test_nothing_can_be_written(tmp_path, ledger, ledger_url):
    if ledger.engine.dialect.name == "sqlite":
        with pytest.raises(RunFailed, match="cannot be read"), asking(ledger_url) as ask:
            ask("DELETE FROM runs", {})


@given(nano=st.integers(0, 10**15), at=st.datetimes(timezones=st.just(UTC)))
def test_a_row_of_sqlite_is_read_as_one_of_postgresql(nano, at):
    usd = Decimal(nano) / 10**9
    by_sqlite = (f"{at:%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0"), nano / 1_000_000_000.0, 1, "pending", 7)
    by_postgresql = (at, usd, True, "pending", 7)
    [one, other] = read_lines(Weighed, [by_sqlite, by_postgresql])
    assert one == other == Weighed(at, usd, simulated=True, status=ReviewStatus.PENDING, tokens=7)
    assert type(one.simulated) is bool
    assert type(one.status) is ReviewStatus
    assert read_lines(WeighedAgain, [(*by_sqlite[:2], 7)]) == [WeighedAgain(at, usd, 7)]


def test_what_is_missing_stays_missing():
    assert read_lines(Weighed, [(None, None, 0, "sent", None)]) == [
        Weighed(None, None, simulated=False, status=ReviewStatus.SENT, tokens=None)
    ]
