"""Rows on record: each once, in shards, and in a queue by priority."""

from schemas.job import RejectedRow, Shard
from schemas.ledger import JobRow, PayloadRow
from schemas.outcome import Outcome, Reason
from services.ledger import jobs
from tests.ledgers import outcomes, rows, started
from tests.strategies import begin, job, job_update


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
