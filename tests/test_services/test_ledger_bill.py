"""What the ledger says for the bill: every settled attempt once, on its UTC day, under its model and tier."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from sqlalchemy import insert, update

from schemas.bill import Kind, Use
from schemas.ledger import AttemptRow, HistoryRow
from schemas.outcome import AttemptState
from services.ledger import jobs, runs
from services.ledger.bill import bill
from services.ledger.settling import Settlement, write_down
from schemas.job import RejectedRow, Shard
from tests.strategies import begin, job, take

NANO = Decimal("1e-9")
HAIKU = "claude-haiku-5-5"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def change(ledger, attempt_id, **values):
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).where(AttemptRow.attempt_id == attempt_id).values(**values))


def attempts_of(ledger, number, worst_case=1_000):
    begin(ledger)
    jobs.add(ledger, "run-1", Shard(0, [job(row) for row in range(number)], []))
    return [hold.attempt_id for hold in take(ledger, [worst_case] * number).taken]
