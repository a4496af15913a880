"""What the ledger says for the bill: every settled attempt once, on its UTC day, under its model and tier."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

from sqlalchemy import insert, update

from schemas.bill import LineKind, Use
from schemas.ledger import AttemptRow, HistoryRow
from schemas.outcome import AttemptState, Billing
from services.ledger import jobs
from services.ledger.bill import bill
from tests.strategies import begin, job, take

HAIKU = "claude-haiku-5-5"
DAY, NEXT = date(2026, 11, 20), date(2026, 11, 21)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
#: the next UTC day, while it is still the same day in New York
LATE = datetime(2026, 11, 20, 20, tzinfo=timezone(timedelta(hours=-5)))


def attempts_of(ledger, number):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row) for row in range(number)], [])
    return [attempt.attempt_id for attempt in take(ledger, [1_000] * number).held]


def change(ledger, attempt_id, **values):
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).where(AttemptRow.attempt_id == attempt_id).values(**values))


def paid(nano, ended_at=NOON, **more):
    return {
        "state": AttemptState.SUCCEEDED, "held_nano_usd": 0, "ended_at": ended_at, "sent_at": NOON,
        "actual_input_tokens": 100, "cache_write_tokens": 30, "cache_write_1h_tokens": 10, "cache_read_tokens": 20,
        "actual_output_tokens": 7, "actual_nano_usd": nano,
    } | more  # fmt: skip


def test_an_empty_ledger_has_no_line(ledger):
    found = bill(ledger)
    assert (found.lines, found.held, found.simulated, found.first_day) == ({}, (), None, None)


def test_each_settled_attempt_is_on_one_line(ledger):
    one, two, late, batch, told, refused, failed = attempts_of(ledger, 7)
    change(ledger, one, **paid(5))
    change(ledger, two, **paid(20_000_007, web_searches=2, billing=Billing.PARTIAL))
    change(ledger, late, **paid(11, LATE, model="claude-haiku-4-5-20251001"))
    change(ledger, batch, **paid(13, batch_id="batch-1", service_tier="batch", cache_write_1h_tokens=None))
    change(ledger, told, **paid(17, service_tier="priority"))
    change(ledger, refused, **paid(0, billing=Billing.NOT_BILLED, web_searches=1))
    change(ledger, failed, **paid(None, state=AttemptState.FAILED))
    with ledger.write() as connection:
        for group, tier, cost in (("", "batch", 1_000), ("a", "batch", 2_000), ("", "standard", 4_000)):
            row = dict.fromkeys((column.name for column in HistoryRow.__table__.columns), 0)
            row |= {"day": "2026-11-19", "model": HAIKU, "service_tier": tier, "group_name": group}
            row |= {"payload_class": "text", "actual_input_tokens": 9, "cache_read_tokens": 4, "jobs": 3}
            connection.execute(insert(HistoryRow).values(row | {"actual_nano_usd": cost}))
    found = bill(ledger)
    nano = {key: int(figures.usd.scaleb(9)) for key, figures in found.lines.items()}
    pruned = date(2026, 11, 19)
    assert nano == {
        (DAY, LineKind("tokens", HAIKU, "standard")): 12,
        (DAY, LineKind("web_search")): 20_000_000,
        (NEXT, LineKind("tokens", "claude-haiku-4-5", "standard")): 11,
        (DAY, LineKind("tokens", HAIKU, "batch")): 13,
        (DAY, LineKind("tokens", HAIKU, "priority")): 17,
        (pruned, LineKind("tokens", HAIKU, "batch")): 3_000,
        (pruned, LineKind("tokens", HAIKU, "standard")): 4_000,
    }
    line = found.lines[DAY, LineKind("tokens", HAIKU, "standard")]
    assert (line.attempts, line.bounds) == (3, 1)
    assert line.use == Use(
        input=150, cache_writes=90, cache_writes_1h=30, cache_reads=60, output=21, web_searches=3
    )
    # a life that is not on record is not told apart
    assert found.lines[DAY, LineKind("tokens", HAIKU, "batch")].use.cache_writes_1h is None
    history = found.lines[pruned, LineKind("tokens", HAIKU, "batch")]
    assert (history.use.input, history.use.cache_reads, history.attempts) == (10, 8, 6)
    assert (found.simulated, found.first_day, found.held) == (True, pruned, ())


def test_what_is_not_settled_is_set_apart_by_when_it_left(ledger):
    unsent, flying, unknown, batch, decided = attempts_of(ledger, 5)
    change(ledger, flying, sent_at=LATE)
    change(ledger, unknown, sent_at=NOON, ended_at=LATE, state=AttemptState.UNKNOWN)
    change(ledger, batch, sent_at=NOON, batch_id="batch-1")
    change(ledger, decided, sent_at=NOON, ended_at=NOON, state=AttemptState.UNKNOWN, held_nano_usd=0)
    assert unsent
    found = bill(ledger)
    assert found.lines == {}
    assert [(held.day, held.tier, held.state, held.attempts, held.usd) for held in found.held] == [
        (DAY, "batch", "open", 1, Decimal("0.000001")),
        (DAY, "standard", "unknown", 1, Decimal("0.000001")),
        (NEXT, "standard", "open", 1, Decimal("0.000001")),
    ]
    assert found.first_day == DAY
