"""Rows on record: each once, in shards, and in a queue by priority."""

import pytest

from rules import endings
from schemas.job import RejectedRow, Shard
from schemas.ledger import JobRow, PayloadRow
from schemas.outcome import Outcome, Reason
from schemas.run import RunKey
from services.ledger import batches, jobs
from services.ledger.settle import settle_all
from services.ledger.store import NotOwner
from tests.ledgers import outcomes, rows, started
from tests.strategies import begin, job, job_update, key_of, packed, take


def test_each_row_is_on_record_once_and_a_second_row_of_an_id_is_rejected(ledger):
    begin(ledger)
    assert (
        jobs.add(ledger, "run-1", [job(0, "a"), job(1, "b"), job(2, "a")], [RejectedRow(3, None, "c", "r")])
        == 2
    )
    assert jobs.add(ledger, "run-1", [job(4, "b")], []) == 0
    assert outcomes(ledger) == [
        (None, None),
        (None, None),
        ("rejected", "invalid_row"),
        ("rejected", "invalid_row"),
        ("rejected", "invalid_row"),
    ]
    assert [row for row, *_ in rows(ledger, PayloadRow, PayloadRow.row_number)] == [0, 1]


def test_a_rejected_rows_id_counts_the_same_wherever_the_batch_ends(ledger):
    rejected, valid = RejectedRow(0, "a", "messages", "is empty"), job(1, "a")
    begin(ledger, "run-1")
    jobs.add(ledger, "run-1", [valid], [rejected])
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [], [rejected])
    jobs.add(ledger, "run-2", [valid], [])
    assert outcomes(ledger, "run-1") == outcomes(ledger, "run-2")


def test_an_odd_parameter_name_in_a_rejection_does_not_stop_the_others(ledger):
    begin(ledger)
    jobs.add(
        ledger, "run-1", [job(0)], [RejectedRow(1, "b", "odd\0name", "not a parameter of the Messages API")]
    )


def test_a_verdict_writes_what_it_names_and_keeps_the_rest(ledger):
    started(ledger, 2)
    jobs.record(
        ledger,
        "run-1",
        [job_update(0, model="m", input_tokens=7, method="counted"), job_update(1, model="n")],
    )
    jobs.record(ledger, "run-1", [job_update(0, outcome=Outcome.REVIEW, reason=Reason.NO_ROUTE)])
    jobs.record(ledger, "run-1", [])
    columns = (JobRow.model, JobRow.input_tokens, JobRow.method, JobRow.outcome, JobRow.detail)
    assert sorted(rows(ledger, JobRow, *columns), key=str) == [
        ("m", 7, "counted", "review", None),
        ("n", None, None, None, None),
    ]


def test_shards_cover_every_undecided_row_once(ledger):
    started(ledger, 25)
    jobs.record(ledger, "run-1", [job_update(row, outcome=Outcome.REVIEW) for row in (0, 7, 8, 24)])
    for size in (1, 4, 500):
        shards = jobs.shards(ledger, "run-1", size)
        inside = [[queued.row_number for queued, _ in jobs.of_shard(ledger, "run-1", one)] for one in shards]
        assert sorted(row for part in inside for row in part) == sorted(set(range(25)) - {0, 7, 8, 24})
        assert all(len(part) <= size for part in inside)
    assert [str(shard) for shard in (Shard(1, 1), Shard(1, 3))] == ["row 1", "rows 1-3"]


def test_the_queue_is_ordered_by_priority_and_then_by_row(ledger):
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row, priority=p) for row, p in enumerate([0, 5, -1, 5, 0])], [])
    assert [queued.row_number for queued in jobs.next_in_queue(ledger, "run-1", 9)] == [1, 3, 0, 4, 2]
    assert [queued.row_number for queued in jobs.next_in_queue(ledger, "run-1", 2)] == [1, 3]


@pytest.mark.parametrize("is_due", [False, True])
def test_only_what_a_batch_left_for_a_deadline_is_queued_again(ledger, is_due):
    """Rows of a batch stopped for the deadline, of one that a person stopped, of one that expired, of one that was not
    created any more, and one that found no money."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job(row, text=f"text {row}") for row in range(5)], [])
    stopped, by_a_person, expired, kept = (one.attempt_id for one in take(ledger, [10] * 4).held)
    made = [packed(ledger, [one]) for one in (stopped, by_a_person, expired)]
    batches.asked_to_stop(ledger, key_of("run-1"), made[0].batch_id)
    ends = [
        endings.batch_left_it(stopped, Reason.BATCH_CANCELED),
        endings.batch_left_it(by_a_person, Reason.BATCH_CANCELED),
        endings.batch_left_it(expired, Reason.BATCH_EXPIRED),
        endings.kept_from_batch(kept),
    ]
    settle_all(ledger, ends)
    jobs.record(ledger, "run-1", [job_update(4, outcome=Outcome.DEFERRED, reason=Reason.RUN_BUDGET)])
    again = {0, 3} | ({2} if is_due else set())
    assert jobs.requeue_unanswered(ledger, key_of("run-1"), expired=is_due) == len(again)
    assert {queued.row_number for queued in jobs.next_in_queue(ledger, "run-1", 9)} == again
    assert jobs.requeue_unanswered(ledger, key_of("run-1"), expired=is_due) == 0
    # the money they held in their batches was given back, and is there to be held again
    assert len(take(ledger, [10] * len(again), run=10 * len(again)).held) == len(again)


def test_who_does_not_own_the_run_any_more_stops_no_batch_and_queues_nothing(ledger):
    started(ledger, 1)
    [one] = take(ledger, [10]).held
    settle_all(ledger, [endings.kept_from_batch(one.attempt_id)])
    other = RunKey("run-1", "somebody")
    with pytest.raises(NotOwner):
        jobs.requeue_unanswered(ledger, other, expired=True)
    with pytest.raises(NotOwner):
        batches.asked_to_stop(ledger, other, "bat_1")
