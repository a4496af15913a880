"""Every way of ending: what was paid for is published and reported, as far as that can be done."""

import json
import logging

import pyarrow.parquet as pq
import pytest

from schemas.errors import RunFailed
from schemas.ledger import PayloadRow, RunRow
from services.ledger import reviews, runs
from tasks import end_early as end_early_module
from tasks.admit import admit
from tasks.collect import collect
from tasks.end_early import end_early
from tasks.read_jobs import read_jobs
from tasks.send import send
from tests.fake_batches import (
    BatchGateway,
    all_rows,
    assert_budgets_add_up,
    outcomes,
    submitted_all,
)
from tests.nights import Rows, a_run_on_record, text_row, weigh
from tests.strategies import abandon

pytestmark = pytest.mark.one_database


async def half_sent(ledger, folder):
    """A run of which two of four jobs were answered, and one more is held."""
    run = await a_run_on_record(ledger, folder=folder)
    await read_jobs(run, Rows([{"job_id": f"job-{n}"} | text_row(f"job {n}") for n in range(4)]), None)
    await weigh(run, 9)
    await send(run, await admit(run, 2, may_defer=True))
    await admit(run, 1, may_defer=True)
    return run


async def test_an_interrupted_run_publishes_what_it_paid_for_and_has_a_report(ledger, tmp_path):
    run = await half_sent(ledger, tmp_path)
    end_early(run)
    [file] = run.results.glob("results-*.parquet")
    assert len(pq.read_table(file)) == 2
    assert sorted(outcomes(ledger)) == ["deferred", "deferred", "succeeded", "succeeded"]
    [row] = all_rows(ledger, RunRow)
    assert row.ended_at is not None
    assert (row.report["jobs"]["succeeded"], row.report["jobs"]["deferred"]) == (2, 2)
    assert_budgets_add_up(ledger)


async def test_a_run_that_another_process_has_taken_is_left_to_it(ledger, tmp_path):
    run = await half_sent(ledger, tmp_path)
    abandon(ledger, run.run_id)
    runs.close_dead_runs(ledger)
    end_early(run)
    assert not list(run.results.glob("results-*.parquet"))
    assert all_rows(ledger, RunRow)[0].ended_at is None


async def test_results_that_cannot_be_written_are_left_to_who_collects(ledger, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("weighbridge"), "propagate", True)
    run = await half_sent(ledger, tmp_path)

    def full(_run):
        raise RunFailed("The disk is full.")

    monkeypatch.setattr(end_early_module.publish, "function", full)
    end_early(run)
    assert "`weighbridge collect` publishes it" in caplog.text
    assert [found.run_id for found in runs.left_unended(ledger)] == [run.run_id]


def cut_off(line):
    line["result"]["message"]["stop_reason"] = "max_tokens"
    return json.dumps(line).encode()


@pytest.mark.parametrize("how", ["interrupted", "died", "died and collected"])
async def test_what_waits_for_a_person_has_its_review_however_the_run_ended(ledger, tmp_path, how):
    gateway = BatchGateway()
    gateway.lines[0] = cut_off
    run = await a_run_on_record(
        ledger,
        gateway,
        tmp_path,
        mode="batches",
        request={"max_input_tokens": 60},
        output={"on_truncated": "review"},
    )
    heavy, light = {"job_id": "heavy"} | text_row("h" * 80), {"job_id": "light"} | text_row("light")
    await read_jobs(run, Rows([heavy, light]), None)
    await weigh(run, 9)
    await submitted_all(run)
    if how == "interrupted":
        end_early(run)
    else:
        abandon(ledger, run.run_id)
        runs.close_dead_runs(ledger)
    if how == "died and collected":
        await collect(ledger, gateway)
    found = {review.job_id: (review.reason, review.status) for review in reviews.listed(ledger)}
    light_waits = {"light": ("cut_off", "pending")} if how == "died and collected" else {}
    assert found == {"heavy": ("over_input_limit", "pending")} | light_waits
    # what a person approves can be sent: the review has its payload
    assert reviews.approve(ledger, [review.id for review in reviews.listed(ledger)], "ana").changed == len(
        found
    )
    assert sum(map(len, reviews.approved_jobs(ledger, "run-2", 0))) == len(found)
    # and of a row that has ended nothing is left behind
    assert len(all_rows(ledger, PayloadRow)) == (how != "died and collected")
