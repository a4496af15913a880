"""What a person reads about a job that a dead run left: the limits that it is over, and what would let it pass."""

import logging

import pytest
from sqlalchemy import update

from schemas.ledger import RunRow
from schemas.review_tables import ReviewRow
from services.ledger import reviews, runs
from tasks.admit import admit
from tasks.collect import collect
from tasks.read_jobs import read_jobs
from tests.fake_batches import BatchGateway
from tests.nights import Rows, a_run_on_record, night, text_row, weigh
from tests.strategies import abandon
from tests.test_tasks.test_resubmit_approved import TIGHT

ROWS = [{"job_id": "heavy"} | text_row("h" * 80)]


async def killed(ledger, folder):
    """A run that died after it had parked its rows."""
    run = await a_run_on_record(ledger, None, folder, "run-dead", **TIGHT)
    await read_jobs(run, Rows(ROWS), None)
    await weigh(run, 9)
    await admit(run, 9, may_defer=True)
    abandon(ledger, run.run_id)
    return run


def said(ledger):
    [review] = reviews.listed(ledger)
    return review.run_id, review.reason, review.limit_tokens, review.would_pass


async def test_what_a_dead_run_parked_has_the_limits_and_the_advice_of_its_policy(ledger, tmp_path):
    run = await killed(ledger, tmp_path)
    assert runs.close_dead_runs(ledger) == [run.run_id]
    run_id, reason, limit, advice = said(ledger)
    assert (run_id, reason, limit) == (run.run_id, "over_input_limit", run.policy.request.max_input_tokens)
    assert advice.startswith("raise max_input_tokens to ")


@pytest.mark.parametrize("is_collected", [False, True], ids=["", "collected"])
async def test_what_an_earlier_run_advised_for_the_same_reason_stays(ledger, tmp_path, is_collected):
    await night(ledger, tmp_path, 1, ROWS, **TIGHT)
    _, reason, limit, advice = said(ledger)
    with ledger.write() as connection:
        # as a run says it that knows which models there are
        connection.execute(update(ReviewRow).values(would_pass=f"{advice}\nanother model"))
    await killed(ledger, tmp_path)
    runs.close_dead_runs(ledger)
    if is_collected:
        assert len((await collect(ledger, BatchGateway())).reports) == 1
    assert said(ledger) == ("run-dead", reason, limit, f"{advice}\nanother model")


async def test_advice_for_another_reason_gives_way(ledger, tmp_path):
    await night(ledger, tmp_path, 1, ROWS, **TIGHT)
    with ledger.write() as connection:
        connection.execute(update(ReviewRow).values(reason="no_route", would_pass="raise the route"))
    await killed(ledger, tmp_path)
    runs.close_dead_runs(ledger)
    assert said(ledger)[3].startswith("raise max_input_tokens to ")


@pytest.mark.parametrize("policy", [{}, {"name": "x", "mode": 7, "routes": [], "on_unknown": []}])
async def test_a_policy_that_cannot_be_read_any_more_keeps_no_books_open(ledger, tmp_path, policy):
    run = await killed(ledger, tmp_path)
    with ledger.write() as connection:
        connection.execute(update(RunRow).values(policy=policy, mode="no such mode"))
    assert runs.close_dead_runs(ledger) == [run.run_id]
    assert said(ledger)[1] == "over_input_limit"


async def test_advice_that_fails_keeps_no_books_open(ledger, tmp_path, monkeypatch, caplog):
    def fails(_parked, _scale):
        raise TypeError("secret text of the payload")

    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    monkeypatch.setattr("services.ledger.reviews.left_advice.advise", fails)
    run = await killed(ledger, tmp_path)
    assert runs.close_dead_runs(ledger) == [run.run_id]
    assert said(ledger)[3] is None
    assert "row 0 of run-dead (TypeError)" in caplog.text
    assert "secret" not in caplog.text
