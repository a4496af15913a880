"""Shared prefixes on record: who may be marked, what was planned, and the hits of runs before."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from rules.cache_plan import FEWEST_FOLLOWERS
from schemas.ledger import AttemptRow, JobRow, PayloadRow
from schemas.payload.payload import Payload
from schemas.saving_tables import CachePrefixRow
from schemas.shared_prefix import CacheMark, PlannedPrefix, PrefixSums, SharedPrefix
from services.ledger import holds, jobs, prefixes
from services.ledger.prefixes import RoutedPayload
from tests.ledgers import failed, rows, settle, succeeded
from tests.strategies import begin, caps, job, job_update, key_of, request, weighed

MODEL = "claude-haiku-5-5"
NOW = datetime(2026, 11, 27, 2, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def planned(key="k", tokens=2_000, jobs=10):
    return PlannedPrefix(SharedPrefix(key, MODEL, "system/0", tokens, jobs), "1h", "5m", 30, 900)


def with_jobs(ledger, number, run_id="run-1", **more):
    begin(ledger, run_id)
    texts = [f"{run_id} number {row}" for row in range(number)]
    jobs.add(ledger, run_id, [job(row, text=texts[row], **more) for row in range(number)], [])
    jobs.record(ledger, run_id, [job_update(row, MODEL, 50, "counted") for row in range(number)])
    return run_id


def routed(ledger, run_id="run-1", least_bytes=0):
    return [one.row_number for one in prefixes.routed_payloads(ledger, run_id, least_bytes)]


def keys(ledger, run_id="run-1"):
    found = select(JobRow.prefix_key).where(JobRow.run_id == run_id).order_by(JobRow.row_number)
    with ledger.read() as connection:
        return list(connection.scalars(found))


def test_a_job_that_waits_to_be_sent_is_given_with_what_is_sent_of_it(ledger):
    with_jobs(ledger, 2)
    text = Payload.checked(request("run-1 number 0")).text.decode()
    assert next(prefixes.routed_payloads(ledger, "run-1", 0)) == RoutedPayload(0, MODEL, 50, text)
    assert routed(ledger) == [0, 1]
    assert prefixes.bodies(ledger, "run-1", [0]) == {0: text}


def test_what_was_pruned_of_a_job_is_not_sent_and_so_not_looked_at(ledger):
    with_jobs(ledger, 1)
    with ledger.write() as connection:
        connection.execute(update(PayloadRow).values(pruned_body='{"short":1}'))
    [found] = prefixes.routed_payloads(ledger, "run-1", 0)
    assert found.body == '{"short":1}' == prefixes.bodies(ledger, "run-1", [0])[0]


def test_a_job_with_markers_of_its_own_or_that_was_not_counted_or_routed_or_is_short_is_left_as_it_is(ledger):
    begin(ledger)
    mark = {"cache_control": {"type": "ephemeral"}}
    own = [
        request("own block", system=[{"type": "text", "text": "s", **mark}]),
        request("own request", **mark),
        request("own tool", tools=[{"name": "a", "input_schema": {"type": "object"}, **mark}]),
    ]
    payloads = [*map(Payload.checked, [*own, request("estimated"), request("unrouted"), request("l" * 900)])]
    jobs.add(ledger, "run-1", [job(row, payload=one) for row, one in enumerate(payloads)], [])
    methods = {0: "counted", 1: "counted", 2: "counted", 3: "estimated", 5: "counted"}
    jobs.record(ledger, "run-1", [job_update(row, MODEL, 50, how) for row, how in methods.items()])
    assert routed(ledger) == [5]
    assert routed(ledger, least_bytes=len(payloads[5].text)) == [5]
    assert routed(ledger, least_bytes=len(payloads[5].text) + 1) == []


def test_a_job_that_has_ended_or_is_in_flight_or_is_of_another_run_is_not_marked(ledger):
    with_jobs(ledger, 3)
    with_jobs(ledger, 1, "run-2")
    answered, in_flight = held(ledger, [None, None]).held
    settle(ledger, succeeded(answered))
    assert in_flight.row_number == 1
    assert routed(ledger) == [2]
    assert routed(ledger, "run-2") == [0]


def test_keys_are_written_by_row_and_those_that_are_not_kept_are_forgotten(ledger):
    with_jobs(ledger, 4)
    with_jobs(ledger, 2, "run-2")
    prefixes.assign(ledger, "run-2", [(0, "l")])
    prefixes.assign(ledger, "run-1", [(0, "k"), (1, "l"), (3, "k")])
    prefixes.assign(ledger, "run-1", [])
    assert keys(ledger) == ["k", "l", None, "k"]
    prefixes.keep(ledger, "run-1", [planned("k")])
    assert keys(ledger) == ["k", None, None, "k"]
    assert keys(ledger, "run-2") == ["l", None]
    row = CachePrefixRow
    assert rows(ledger, row, row.run_id, row.prefix_key, row.model, row.ends_at, row.input_tokens, row.jobs,
                row.prime_ttl, row.ttl, row.low_nano_usd, row.high_nano_usd) == [
        ("run-1", "k", MODEL, "system/0", 2_000, 10, "1h", "5m", 30, 900)
    ]  # fmt: skip


def test_a_run_that_keeps_no_prefix_has_no_job_with_a_key(ledger):
    with_jobs(ledger, 2)
    prefixes.assign(ledger, "run-1", [(0, "k"), (1, "k")])
    prefixes.keep(ledger, "run-1", [])
    assert keys(ledger) == [None, None]


def test_jobs_of_one_prefix_stand_together_in_the_queue_within_a_priority_and_can_be_passed_over(ledger):
    begin(ledger)
    priorities = [0, 0, 5, 0, 5, 0]
    jobs.add(ledger, "run-1", [job(row, text=f"n {row}", priority=p) for row, p in enumerate(priorities)], [])
    prefixes.assign(ledger, "run-1", [(0, "l"), (1, "k"), (2, "l"), (3, "l"), (4, "k"), (5, "k")])
    queue = jobs.next_in_queue(ledger, "run-1", 9)
    assert [one.row_number for one in queue] == [4, 2, 1, 5, 0, 3]
    assert [one.prefix_key for one in queue] == ["k", "l", "k", "k", "l", "l"]
    passed = jobs.next_in_queue(ledger, "run-1", 9, (), ["k"])
    assert [one.row_number for one in passed] == [2, 0, 3]


def test_jobs_without_a_prefix_are_never_passed_over_for_one(ledger):
    with_jobs(ledger, 3)
    prefixes.assign(ledger, "run-1", [(1, "k")])
    assert [one.row_number for one in jobs.next_in_queue(ledger, "run-1", 9, (), ["k", "l"])] == [0, 2]


def held(ledger, marks, run_id="run-1"):
    """Holds for the next jobs in the queue, one for each mark; None is of no mark."""
    queue = jobs.next_in_queue(ledger, run_id, len(marks))
    asked = [weighed(one, 10) for one in queue]
    marked = [
        replace(one, job=replace(one.job, mark=mark, cache_ttl=mark and mark.ttl))
        for one, mark in zip(asked, marks, strict=True)
    ]
    return holds.take(ledger, key_of(run_id), marked, caps(run_id), may_defer=True, resend_unknown=False)


PRIME = CacheMark("k", "system/0", "1h", True, 2_000)
FOLLOWER = CacheMark("k", "system/0", "5m", False, 2_000)


def test_an_attempt_says_what_it_was_marked_for_and_an_unmarked_one_says_nothing(ledger):
    with_jobs(ledger, 3)
    admission = held(ledger, [PRIME, FOLLOWER, None])
    assert [one.mark for one in admission.held] == [PRIME, FOLLOWER, None]
    row = AttemptRow
    found = rows(ledger, row, row.row_number, row.prefix_key, row.cache_ttl, row.is_prime)
    assert sorted(found) == [(0, "k", "1h", True), (1, "k", "5m", False), (2, None, None, None)]


def answer(attempt, read=0, written=0, written_1h=0):
    more = {"cache_read_tokens": read, "cache_write_tokens": written, "cache_write_1h_tokens": written_1h}
    return succeeded(attempt, **more)


def test_the_sums_of_a_prefix_are_those_of_its_answered_marked_attempts(ledger):
    with_jobs(ledger, 7)
    prefixes.keep(ledger, "run-1", [planned("k")])
    attempts = held(ledger, [PRIME, *[FOLLOWER] * 5, None]).held
    settle(
        ledger,
        answer(attempts[0], written=2_000, written_1h=2_000),
        answer(attempts[1], read=2_000),
        answer(attempts[2], read=2_000),
        answer(attempts[3], written=2_000),
        answer(attempts[4]),  # went out without its mark
        failed(attempts[5]),
        answer(attempts[6], read=77),  # had no mark
    )
    assert prefixes.sums(ledger, "run-1") == [
        PrefixSums(
            planned("k").prefix, batch=False, jobs=4, written=4_000, written_1h=2_000, read=4_000,
            follower_tokens=6_000, follower_read=4_000,
        )
    ]  # fmt: skip


def test_the_prefix_with_most_tokens_comes_first_and_what_batches_brought_is_apart(ledger):
    with_jobs(ledger, 3)
    prefixes.keep(ledger, "run-1", [planned("k", 2_000, 10), planned("l", 1_000, 100)])
    attempts = held(ledger, [PRIME, FOLLOWER, replace(PRIME, key="l")]).held
    settle(ledger, *(answer(one, written=1_000) for one in attempts))
    with ledger.write() as connection:
        in_batch = AttemptRow.attempt_id == attempts[1].attempt_id
        connection.execute(update(AttemptRow).where(in_batch).values(batch_id="batch"))
    found = [(one.prefix.key, one.batch, one.jobs) for one in prefixes.sums(ledger, "run-1")]
    assert found == [("l", False, 1), ("k", False, 1), ("k", True, 1)]
    assert prefixes.sums(ledger, "run-2") == []


def run_of(ledger, run_id, reads, number=FEWEST_FOLLOWERS, *, batch=False, ended_at=NOW, mark=FOLLOWER):
    """A run with marked answers, of which so many read the whole prefix and the others wrote it."""
    with_jobs(ledger, number, run_id)
    attempts = held(ledger, [mark] * number, run_id).held
    settle(
        ledger,
        *(answer(one, read=2_000) for one in attempts[:reads]),
        *(answer(one, written=2_000) for one in attempts[reads:]),
    )
    values = {"ended_at": ended_at, "batch_id": f"batch of {run_id}" if batch else None}
    with ledger.write() as connection:
        connection.execute(update(AttemptRow).where(AttemptRow.run_id == run_id).values(**values))


def shares(ledger, *, batch=False, before=LATER, model=MODEL):
    return prefixes.hit_shares(ledger, model, before, batch=batch)


def test_the_share_of_hits_of_each_run_is_in_thousandths_the_last_run_first(ledger):
    run_of(ledger, "run-1", 30)
    run_of(ledger, "run-2", 10, ended_at=NOW + timedelta(hours=1))
    assert shares(ledger) == [333, 1_000]
    assert shares(ledger, model="claude-opus-5-5") == []


def test_batches_and_single_messages_have_hits_of_their_own(ledger):
    run_of(ledger, "run-1", 30)
    run_of(ledger, "run-2", 3, batch=True)
    assert (shares(ledger), shares(ledger, batch=True)) == ([1_000], [100])


@pytest.mark.parametrize(
    "more",
    [
        {"number": FEWEST_FOLLOWERS - 1},
        {"mark": PRIME},
        {"ended_at": NOW - timedelta(days=15)},
        {"ended_at": LATER},
    ],
    ids=["too few answers", "first jobs", "too long ago", "not before"],
)
def test_a_run_says_nothing_of_hits_with(ledger, more):
    run_of(ledger, "run-1", 20, **more)
    assert shares(ledger) == []


def test_the_last_ten_runs_count(ledger):
    for number in range(12):
        run_of(ledger, f"run-{number}", number, ended_at=NOW + timedelta(minutes=number))
    assert shares(ledger) == [number * 1_000 // FEWEST_FOLLOWERS for number in range(11, 1, -1)]
