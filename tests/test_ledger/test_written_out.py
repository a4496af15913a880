"""Written out: a statement for many rows is compiled once, and what it costs a row does not grow with the tables."""

import asyncio
import sqlite3
from collections import Counter

import pytest
from sqlalchemy import event

from tests.nights import KINDS, night
from tests.strategies import quick_ledger

#: how a plan says that it walks through a table that grows from night to night
GROWING = {f"SCAN {table}" for table in ("attempts", "counts", "jobs", "payloads", "responses", "reviews")}


class Watched:
    """What SQLite did for the statements of a ledger that are executed for many rows.

    Attributes:
        rows: those that each was executed for.
        compiled_again: statements that were compiled more than once in one execution.
        walks: tables that a statement walks through for each row, with the statement.
    """

    def __init__(self, ledger):
        self.rows, self.compiled_again, self.walks = Counter(), set(), set()
        event.listen(ledger.engine, "connect", self._connected)
        event.listen(ledger.engine, "before_cursor_execute", self._before)
        event.listen(ledger.engine, "after_cursor_execute", self._after)
        ledger.engine.dispose()

    def _connected(self, connection, record):
        questions = record.info["questions"] = Counter()

        # its compiler asks for leave for each column and table of a statement
        def asked(*_what):
            questions["asked"] += 1
            return sqlite3.SQLITE_OK

        connection.set_authorizer(asked)

    def _before(self, connection, _cursor, _statement, _values, context, _many):
        context.asked_before = connection.info["questions"]["asked"]

    def _after(self, connection, _cursor, statement, values, context, many):
        if not many or len(values) < 2:
            return
        self.rows[statement] += len(values)
        questions = connection.info["questions"]
        executing, before = questions["asked"] - context.asked_before, questions["asked"]
        plan = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", values[0]).fetchall()
        if executing > questions["asked"] - before:
            self.compiled_again.add(statement)
        self.walks |= {(line[3], statement) for line in plan if line[3] in GROWING}


@pytest.fixture
def on_sqlite(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield ledger
    ledger.close()


def test_a_statement_for_many_rows_is_compiled_once_and_walks_through_no_table(on_sqlite, tmp_path):
    seen = Watched(on_sqlite)
    rows = [
        {"job_id": f"{kind}-{number}", **make(number)}
        for number in range(10)
        for kind, (make, _) in KINDS.items()
    ]
    for number in (1, 2):  # the second finds the answers and the reviews of the first
        asyncio.run(night(on_sqlite, tmp_path, number, rows, sizes=(100, 100, 100)))
    begun = {statement.split(" (")[0].split(" SET")[0] for statement in seen.rows}
    assert {"INSERT INTO jobs", "INSERT INTO reviews", "UPDATE jobs", "UPDATE attempts"} <= begun
    assert seen.compiled_again == set()
    assert seen.walks == set()
