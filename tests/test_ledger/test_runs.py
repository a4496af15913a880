"""Runs on record: how the books of one that was interrupted or died are closed."""

import pytest
from sqlalchemy import update

from schemas.errors import BadInput
from schemas.ledger import PayloadRow, RunRow
from schemas.payload.payload import Payload
from schemas.review import Filter
from services.ledger import reviews, runs
from tests.ledgers import budgets, outcomes, rows, settle, started, succeeded
from tests.strategies import begin, request, take, write_down


def test_an_interrupted_run_releases_what_never_left_and_holds_on_to_what_did(ledger):
    started(ledger, 4)
    held = take(ledger, [10, 20, 30]).held
    settle(ledger, succeeded(held[0], 7))
    write_down(ledger, [held[1].attempt_id], [])
    for _ in range(2):
        with ledger.write() as connection:
            runs.close_books(connection, "run-1", review_unknown=True)
        assert outcomes(ledger) == [
            ("succeeded", None),
            ("unknown", "unknown_outcome"),
            ("deferred", "interrupted"),
            ("deferred", "interrupted"),
        ]
        assert budgets(ledger) == {"run": (20, 7), "day": (20, 7)}
    reviews.drop_payloads(ledger, "run-1")
    assert rows(ledger, PayloadRow, PayloadRow.row_number) == []
    [review] = reviews.listed(ledger, Filter(status="pending", run_id="run-1"))
    assert Payload.restored(reviews.one_review(ledger, review.id).payload).request == request()


def test_a_run_whose_process_is_gone_is_closed_and_a_living_one_is_not(ledger):
    started(ledger)
    started(ledger, run_id="run-2")
    with ledger.write() as connection:
        connection.execute(update(RunRow).where(RunRow.run_id == "run-1").values(process_started=1))
    assert runs.close_dead_runs(ledger) == ["run-1"]
    assert runs.close_dead_runs(ledger) == []
    assert outcomes(ledger) == [("deferred", "interrupted")]
    assert outcomes(ledger, "run-2") == [(None, None)]
    assert runs.find(ledger, "run-1").ended_at is None  # whoever collects makes its report
    assert runs.find(ledger).run_id == "run-2"


def test_real_and_simulated_runs_do_not_share_a_ledger(ledger):
    begin(ledger, "run-1", simulated=True)
    with pytest.raises(BadInput, match="must not mix"):
        begin(ledger, "run-2", simulated=False)
    assert rows(ledger, RunRow, RunRow.run_id) == [("run-1",)]


def test_the_flow_run_of_a_dead_run_is_found_unless_a_retry_of_it_is_at_work(ledger):
    for number in (1, 2, 3):
        started(ledger, run_id=f"run-{number}")
    with ledger.write() as connection:
        for run_id, shown in (("run-1", "flow-a"), ("run-2", "flow-b"), ("run-3", "flow-b")):
            connection.execute(
                update(RunRow).where(RunRow.run_id == run_id).values(prefect_flow_run_id=shown)
            )
    assert runs.flow_runs_of(ledger, ["run-1", "run-2"]) == ["flow-a"]
    assert runs.flow_runs_of(ledger, ["run-2", "run-3"]) == ["flow-b"]
    assert runs.flow_runs_of(ledger, []) == []
