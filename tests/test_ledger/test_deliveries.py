"""Deliveries on record: what workers are to send, whether they still may, and what they left."""

from dataclasses import replace

import pytest
from sqlalchemy import select, update

from schemas.ledger import AttemptRow, RunRow
from schemas.outcome import Reason
from services.ledger import deliveries, holds, jobs
from services.ledger.store import NotOwner
from tests.ledgers import budgets, failed, outcomes, settle, started, succeeded
from tests.strategies import abandon, begin, job, key_of, take, write_down

KEY = key_of("run-1")


def held(ledger, count):
    started(ledger, count)
    return [attempt.attempt_id for attempt in take(ledger, [10] * count).held]


def test_only_open_attempts_that_have_not_left_are_to_be_sent_with_all_that_the_admission_had(ledger):
    started(ledger, 4)
    whole = take(ledger, [10, 20, 30, 40]).held
    ids = [one.attempt_id for one in whole]
    write_down(ledger, ids[:1], [])
    settle(ledger, failed(whole[1]))
    left = holds.with_payloads(ledger, KEY.run_id, whole[2:])
    assert deliveries.unsent(ledger, KEY, ids) == left
    assert deliveries.unsent(ledger, KEY, list(reversed(ids))) == left[::-1]


def test_what_lost_workers_left_ends_as_after_a_crash_and_only_that(ledger):
    started(ledger, 4)
    whole = take(ledger, [10, 20, 30, 40]).held
    ids = [one.attempt_id for one in whole]
    write_down(ledger, ids[:2], [])
    settle(ledger, succeeded(whole[0], 5))
    assert deliveries.still_out(ledger, ids) == 1
    assert deliveries.end_left(ledger, KEY, ids[:3]) == 2
    assert deliveries.end_left(ledger, KEY, ids[:3]) == 0
    with ledger.read() as connection:
        rows = connection.execute(select(AttemptRow.attempt_id, AttemptRow.state, AttemptRow.held_nano_usd))
        states = {row.attempt_id: (row.state, row.held_nano_usd) for row in rows}
    ends = [("succeeded", 0), ("unknown", 20), ("failed", 0), ("open", 40)]
    assert [states[one] for one in ids] == ends
    assert budgets(ledger)["run"] == (60, 5)
    assert outcomes(ledger) == [
        ("succeeded", None),
        ("unknown", "unknown_outcome"),
        ("deferred", "interrupted"),
        (None, None),
    ]
    # the answer comes after all
    settle(ledger, succeeded(whole[1], 7))
    assert budgets(ledger)["run"] == (40, 12)


def test_what_was_left_is_ended_by_the_owner_only(ledger):
    ids = held(ledger, 1)
    abandon(ledger, "run-1")
    other = KEY._replace(owner="another")
    with pytest.raises(NotOwner):
        deliveries.end_left(ledger, other, ids)


def test_workers_see_why_their_run_sends_no_more_and_the_first_reason_stays(ledger):
    started(ledger)
    assert deliveries.why_halted(ledger, KEY) is None
    deliveries.halt(ledger, KEY._replace(owner="another"), Reason.INTERRUPTED)
    assert deliveries.why_halted(ledger, KEY) is None
    deliveries.halt(ledger, KEY, Reason.ACCESS_DENIED)
    deliveries.halt(ledger, KEY, Reason.INTERRUPTED)
    assert deliveries.why_halted(ledger, KEY) is Reason.ACCESS_DENIED


@pytest.mark.parametrize("change", [{"owner": "another"}, {"ended_at": "now"}])
def test_a_run_of_another_owner_or_one_that_has_ended_is_none_of_their_business(ledger, change):
    started(ledger)
    with ledger.write() as connection:
        values = {name: RunRow.started_at if value == "now" else value for name, value in change.items()}
        connection.execute(update(RunRow).values(**values))
    assert deliveries.why_halted(ledger, KEY) is Reason.TAKEN_OVER


def test_the_models_that_jobs_are_pinned_to_are_known(ledger):
    begin(ledger, "run-1")
    pinned = [replace(job(row), model=model) for row, model in enumerate(["b", None, "a", "b"])]
    jobs.add(ledger, "run-1", pinned, [])
    assert deliveries.pins(ledger, "run-1") == ["a", "b"]
