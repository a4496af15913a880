"""Opening a ledger on SQLite and PostgreSQL: its tables, its versions, and errors that say nothing of the rows."""

import json
import logging
import multiprocessing
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, func, insert, inspect, text

from schemas import allowance_table, day_zone_table, review_tables, saving_tables
from schemas.errors import BadInput, RunFailed
from schemas.ledger import AttemptRow, BudgetRow, PayloadRow, RunRow
from schemas.review_tables import ReviewRow
from schemas.table import Table
from services.ledger import engines, jobs, open_ledger, open_to_read, reviews, store
from services.ledger.store import MIGRATIONS
from tests.ledgers import parked, rows, started
from tests.processes import other_processes
from tests.strategies import begin

#: a table belongs to the schema once its module is imported, which opening a ledger need not do
TABLE_MODULES = (allowance_table, day_zone_table, review_tables, saving_tables)


def test_the_migrations_make_exactly_the_tables_of_the_schema(ledger):
    with ledger.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        differences = compare_metadata(context, Table.metadata)
    # the queue's index is over an expression, which SQLite's reflection leaves out
    assert [d for d in differences if getattr(d[1], "name", "") != "ix_jobs_queue"] == []


def test_a_ledger_of_an_earlier_version_keeps_its_money_and_its_reviews(ledger_url):
    engine = create_engine(ledger_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    review = (
        "INSERT INTO reviews (id, job_id, run_id, reason, detail, status, created_at, row_number, fingerprint, payload, worst_case_nano_usd) "
        "VALUES (7, 'a', 'run-1', 'no_route', 'x', 'approved', '2026-11-01 00:00:00', 3, 'f', '{}', 9)"
    )
    run = (
        "INSERT INTO runs (run_id, jobs_path, results_path, policy_name, policy, mode, endpoint, simulated, host, pid, "
        "process_started, started_at, heartbeat_at) VALUES ('run-1', '', '', '', '{}', '', '', true, '', 1, 1, "
        "'2026-11-01 00:00:00', '2026-11-01 00:00:00')"
    )
    attempt = (
        "INSERT INTO attempts (attempt_id, run_id, row_number, job_id, fingerprint, group_name, budget_day, model, state, "
        "input_tokens, input_bound, max_tokens, expected_nano_usd, worst_case_nano_usd, held_nano_usd, opened_at, tries, "
        "actual_nano_usd) VALUES ('{0}', 'run-1', 1, '{0}', '{0}', 'ana', '2026-11-01', 'm', '{1}', 1, 1, 1, 1, 50, {2}, "
        "'2026-11-01 00:00:00', 1, {3})"
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(text("INSERT INTO budgets VALUES ('day', '2026-11-01', 100, 30, 40)"))
        connection.execute(text(run))
        connection.execute(text(review))
        connection.execute(text(attempt.format("a", "open", 30, "null")))
        connection.execute(text(attempt.format("b", "succeeded", 0, 40)))
    engine.dispose()
    ledger = open_ledger(ledger_url)
    assert rows(ledger, BudgetRow, *BudgetRow.__table__.columns) == [
        ("day", "2026-11-01", "", 100, 30, 40),
        ("month", "2026-11", "", None, 30, 40),
        ("month", "2026-11", "ana", None, 30, 40),
        ("day", "2026-11-01", "ana", None, 30, 40),
        ("run", "run-1", "ana", None, 30, 40),
    ]
    kept = (ReviewRow.id, ReviewRow.status, ReviewRow.decided_by, ReviewRow.ceiling_nano_usd)
    assert rows(ledger, ReviewRow, *kept) == [(7, "approved", "unknown", 9)]
    assert reviews.one_review(ledger, 7).payload == "{}"
    assert [event.to_status for event in reviews.events(ledger, 7)] == ["approved"]
    parked(ledger, "run-2")
    assert {row[0] for row in rows(ledger, ReviewRow, ReviewRow.id)} == {7, 8}
    ledger.close()


def test_attempts_of_an_earlier_version_state_the_effort_that_their_jobs_asked_for(ledger_url):
    engine = create_engine(ledger_url)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    run = (
        "INSERT INTO runs (run_id, jobs_path, results_path, policy_name, policy, mode, endpoint, simulated, host, pid, "
        "process_started, started_at, heartbeat_at, parks_unknown) VALUES ('run-1', '', '', '', '{}', '', '', true, '', "
        "1, 1, '2026-11-01 00:00:00', '2026-11-01 00:00:00', true)"
    )
    traits = [
        {"effort": "max", "payload_class": "thinking"},
        {"thinking": "enabled", "thinking_budget": 2_000},
        {},
        None,
    ]
    job_row = text(
        "INSERT INTO jobs (run_id, row_number, priority, traits) VALUES ('run-1', :row, 0, :traits)"
    )
    attempt = (
        "INSERT INTO attempts (attempt_id, run_id, row_number, job_id, fingerprint, budget_day, model, state, input_tokens, "
        "input_bound, max_tokens, expected_nano_usd, worst_case_nano_usd, held_nano_usd, opened_at, tries) VALUES ('a{0}', "
        "'run-1', {0}, 'a', 'a', '2026-11-01', 'm', 'failed', 1, 1, 1, 1, 50, 0, '2026-11-01 00:00:00', 1)"
    )
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
        connection.execute(text(run))
        for number, known in enumerate(traits):
            stored = None if known is None else json.dumps(known)
            connection.execute(job_row, {"row": number, "traits": stored})
        # the job of the last one was pruned
        for number in range(len(traits) + 1):
            connection.execute(text(attempt.format(number)))
    engine.dispose()
    ledger = open_ledger(ledger_url)
    asked = rows(ledger, AttemptRow, AttemptRow.attempt_id, AttemptRow.effort, AttemptRow.thinking_budget)
    assert sorted(asked) == [
        ("a0", "max", None),
        ("a1", None, 2_000),
        ("a2", None, None),
        ("a3", None, None),
        ("a4", None, None),
    ]
    ledger.close()


def test_indexes_and_the_view_for_people_are_there(ledger):
    inspector = inspect(ledger.engine)
    assert set(inspector.get_view_names()) == {"reconciliation", "reviews_pending", "spend_today"}
    with ledger.read() as connection:
        catalogue = "sqlite_master" if ledger.engine.dialect.name == "sqlite" else "pg_indexes"
        column = "name" if catalogue == "sqlite_master" else "indexname"
        found = set(connection.scalars(text(f"SELECT {column} FROM {catalogue}")))
        assert connection.execute(text("SELECT count(*) FROM reconciliation")).scalar() == 0
    assert {"ix_jobs_queue", "uq_attempts_live"} <= found


def opened_by_another_process(url, gate):
    gate.wait()
    ledger = open_ledger(url)
    begin(ledger, f"run-{multiprocessing.current_process().pid}")
    ledger.close()


def test_two_processes_may_open_a_new_ledger_at_once(ledger_url):
    context = other_processes()
    gate = context.Barrier(2)
    openers = [context.Process(target=opened_by_another_process, args=(ledger_url, gate)) for _ in range(2)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join(60)
    assert [opener.exitcode for opener in openers] == [0, 0]
    ledger = open_ledger(ledger_url)
    assert len(rows(ledger, RunRow, RunRow.run_id)) == 2
    ledger.close()


def test_many_threads_may_open_a_new_ledger_at_once(ledger_url):
    with ThreadPoolExecutor(6) as pool:
        for ledger in pool.map(open_ledger, [ledger_url] * 6):
            ledger.close()


def test_opening_again_changes_nothing_and_keeps_the_rows(ledger, ledger_url):
    started(ledger, 2)
    again = open_ledger(ledger_url)
    assert len(jobs.next_in_queue(again, "run-1", 9)) == 2
    again.close()


def test_a_ledger_of_a_newer_version_is_refused(ledger, ledger_url):
    with ledger.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RunFailed, match="newer version"):
        open_ledger(ledger_url)


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE jobs (id INT)",),
        (
            "CREATE TABLE alembic_version (version_num TEXT)",
            "INSERT INTO alembic_version VALUES ('5952a5498b51')",
        ),
    ],
    ids=["a table of the same name", "the versions of another program"],
)
def test_the_database_of_another_program_is_refused_and_left_as_it_is(ledger_url, statements):
    engine = create_engine(ledger_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
        before = sorted(inspect(connection).get_table_names())
    with pytest.raises(BadInput, match=r"is the database of another program: .* Nothing was changed"):
        open_ledger(ledger_url)
    with engine.connect() as connection:
        assert sorted(inspect(connection).get_table_names()) == before
    engine.dispose()


def test_a_file_with_tables_of_something_else_is_no_place_for_a_ledger_and_a_database_on_a_server_is(
    tmp_path, postgres_url
):
    for url in (f"sqlite:///{tmp_path}/users.db", postgres_url):
        engine = create_engine(url)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE users (id INT)"))
        engine.dispose()
    with pytest.raises(BadInput, match="it has a table users"):
        open_ledger(f"sqlite:///{tmp_path}/users.db")
    open_ledger(postgres_url).close()


def test_an_address_that_names_no_driver_opens_the_same_ledger(postgres_url):
    plain = postgres_url.replace("postgresql+psycopg", "postgres")
    with closing(open_ledger(plain)) as made:
        shown = made.url
    with closing(open_to_read(postgres_url)) as same:
        assert same.url == shown
        assert shown.startswith("postgresql+psycopg://")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_ledger_in_memory_is_refused(url):
    with pytest.raises(BadInput, match="gone with its command"):
        open_ledger(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ledger.db",
        "nosuchdatabase://x/y",
        "postgresql+psycopg://user@host:port/ledger",
        "sqlite:////dev/null/folder/ledger.db",
        "sqlite:////dev/null",
    ],
)
def test_a_ledger_that_cannot_be_opened_is_a_sentence(url):
    with pytest.raises((BadInput, RunFailed)) as refused:
        open_ledger(url)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("named", "hint"), [("foo.db", "sqlite:///foo.db"), ("/srv/l.db", "sqlite:////srv/l.db")]
)
def test_who_names_a_path_is_told_how_it_is_written_as_an_address(named, hint):
    with pytest.raises(BadInput, match=f"write it like {hint} or"):
        open_ledger(named)


def test_what_may_have_a_password_is_not_repeated():
    with pytest.raises(BadInput) as refused:
        open_ledger("ann:SECRET@host/db")
    assert "SECRET" not in str(refused.value)


def test_a_password_is_shown_nowhere(tmp_path):
    with pytest.raises(RunFailed) as refused:
        open_ledger("postgresql+psycopg://user:SECRET@127.0.0.1:1/ledger")
    assert "SECRET" not in str(refused.value)


def test_a_database_error_does_not_quote_a_payload(ledger):
    begin(ledger)
    values = {"run_id": "run-1", "row_number": 1, "body": "SECRET"}
    with pytest.raises(RunFailed) as error, ledger.write() as connection:
        connection.execute(insert(PayloadRow), [values, values])
    assert "SECRET" not in str(error.value)


def test_a_constraint_that_fails_does_not_quote_the_row(ledger):
    begin(ledger)
    review = {
        "job_id": "j", "run_id": "run-1", "reason": "r", "detail": "d", "status": "nonsense", "row_number": 0,
        "fingerprint": "SECRET", "created_at": func.now(),
    }  # fmt: skip
    with pytest.raises(RunFailed) as error, ledger.write() as connection:
        connection.execute(insert(ReviewRow).values(review))
    assert "SECRET" not in str(error.value)


def test_a_ledger_file_that_was_replaced_in_mid_run_is_seen_at_the_next_write(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = open_ledger(f"sqlite:///{path}")
    path.rename(tmp_path / "aside.db")
    with pytest.raises(RunFailed, match="was deleted or replaced"), ledger.write():
        pytest.fail("written into a file that nobody finds")
    open_ledger(f"sqlite:///{path}").close()
    with pytest.raises(RunFailed, match="was deleted or replaced"), ledger.write():
        pytest.fail("written into a file that nobody finds")
    path.unlink()
    (tmp_path / "aside.db").rename(path)
    with ledger.write():
        pass
    ledger.close()


def test_a_writer_waits_while_another_program_holds_the_file_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    monkeypatch.setattr(engines, "BUSY_SECONDS", 1)
    monkeypatch.setattr(store, "_BEGIN_PAUSE", 0.05)
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(1.5, other.execute, ("ROLLBACK",))
    release.start()
    with ledger.write():
        assert not other.in_transaction
    release.join()
    assert "another program holds it" in caplog.text
    other.close()
    ledger.close()


async def test_a_step_that_a_deadlock_undid_is_tried_again(tmp_path):
    ledger = open_ledger(f"sqlite:///{tmp_path}/ledger.db")
    tries = []

    def step(_ledger):
        tries.append(1)
        if len(tries) < 2:
            raise store.LedgerUnavailable("The ledger could not be written (DeadlockDetected).")
        return len(tries)

    assert await ledger.off_loop(step) == 2
    ledger.close()
