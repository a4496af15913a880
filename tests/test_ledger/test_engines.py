"""A PostgreSQL database whose own defaults are other than the ledger needs: a DBA may set them for everybody."""

import threading

import pytest
from sqlalchemy import create_engine, make_url, select, text

from schemas.budget import DayCaps
from schemas.ledger import AttemptRow
from services.ledger import leases
from services.ledger.leases import new_token
from services.ledger.leaving import record_leaving
from services.ledger.store import open_ledger
from services.ledger.windows import one_at_a_time
from tests.ledgers import started
from tests.strategies import abandon, key_of, owner_of, take

NO_CAPS = DayCaps("2026-11-22", lambda _: ())
pytestmark = pytest.mark.slow


@pytest.fixture
def with_defaults(postgres_url):
    """Opens the ledger of a database with these settings."""
    opened = []

    def open_with(**settings):
        name = make_url(postgres_url).database
        engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for setting, value in settings.items():
                connection.execute(text(f"ALTER DATABASE \"{name}\" SET {setting} TO '{value}'"))
        engine.dispose()
        opened.append(open_ledger(postgres_url))
        return opened[0]

    yield open_with
    for ledger in opened:
        ledger.close()


@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_who_waited_for_a_take_over_to_end_sees_it_and_lets_no_byte_leave(with_defaults, isolation):
    ledger = with_defaults(default_transaction_isolation=isolation)
    started(ledger)
    [held] = take(ledger, [10]).held
    abandon(ledger, "run-1")
    came = []

    def leave():
        with ledger.write() as connection:
            came.append(record_leaving(connection, key_of("run-1"), [held.attempt_id], NO_CAPS, new_token()))

    with ledger.write() as connection:
        one_at_a_time(connection)
        waiting = threading.Thread(target=leave)
        waiting.start()
        _until_somebody_waits(ledger)
        assert leases.claim(connection, "run-1", owner_of("run-1"))
    waiting.join(timeout=20)
    assert came == [(set(), set(), set(), {})]
    with ledger.read() as connection:
        assert list(connection.scalars(select(AttemptRow.sent_at))) == [None]


def _until_somebody_waits(ledger):
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    for _ in range(2_000):
        with ledger.read() as connection:
            if connection.scalar(waiting):
                return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits for the lock")


@pytest.mark.parametrize(("default", "kept"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
def test_a_commit_survives_a_crash_of_the_server_whatever_the_database_says(with_defaults, default, kept):
    ledger = with_defaults(synchronous_commit=default)
    for enter in (ledger.write, ledger.write, ledger.read):
        with enter() as connection:
            assert connection.scalar(text("SELECT current_setting('synchronous_commit')")) == kept
