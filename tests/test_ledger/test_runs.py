"""Runs on record: how the books of one that was interrupted or died are closed."""

import logging

import pytest
from sqlalchemy import update

from schemas.errors import BadInput
from schemas.ledger import AttemptRow, PayloadRow, RunRow
from schemas.payload.payload import Payload
from schemas.review import Filter
from services.ledger import reviews, runs
from services.ledger.store import LedgerUnavailable
from tests.ledgers import budgets, outcomes, rows, settle, started, succeeded
from tests.strategies import abandon, begin, owner_of, request, take, write_down


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


def test_a_dead_run_whose_books_cannot_be_closed_stays_as_it_is_and_stops_no_other(
    ledger, monkeypatch, caplog
):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    for number in (1, 2):
        started(ledger, run_id=f"run-{number}")
        take(ledger, [10], f"run-{number}")
        abandon(ledger, f"run-{number}")
    close_books = runs.close_books

    def closed(connection, run_id, **more):
        close_books(connection, run_id, **more)
        if run_id == "run-1":
            raise TypeError("secret words")

    monkeypatch.setattr(runs, "close_books", closed)
    assert runs.close_dead_runs(ledger) == ["run-2"]
    assert "run-1 could not be closed (TypeError)" in caplog.text
    assert "secret words" not in caplog.text
    owners = dict(rows(ledger, RunRow, RunRow.run_id, RunRow.owner))
    assert owners == {"run-1": owner_of("run-1"), "run-2": None}
    states = dict(rows(ledger, AttemptRow, AttemptRow.run_id, AttemptRow.state))
    assert states == {"run-1": "open"}
    assert outcomes(ledger, "run-2")[0][0] == "deferred"
    monkeypatch.undo()
    # nothing has to run out before it is tried again
    assert runs.close_dead_runs(ledger) == ["run-1"]


def test_a_ledger_that_is_away_for_a_while_is_no_fault_of_a_run(ledger, monkeypatch):
    started(ledger)
    abandon(ledger, "run-1")
    close_books = runs.close_books

    def away(*_, **__):
        raise LedgerUnavailable("away.")

    monkeypatch.setattr(runs, "close_books", away)
    with pytest.raises(LedgerUnavailable):
        runs.close_dead_runs(ledger)
    monkeypatch.setattr(runs, "close_books", close_books)
    assert runs.close_dead_runs(ledger) == ["run-1"]


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
