"""Batches against the real simulator: each is made once, each item billed once, and the books agree with the log."""

import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from schemas.ledger import BatchRow
from schemas.outcome import BatchState, Reason
from services.ledger import runs
from tasks.admit import admit
from tasks.send_queue import SendQueue
from tasks.shards import SHARD_SIZE
from tasks.watch_batch import look, watch
from tests.offices import QUICK, fault, office, some_rows
from tests.strategies import abandon


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch):
    """The flow's own sending loop, its steps as the plain functions under the tasks."""
    monkeypatch.setattr(logging.getLogger("weighbridge"), "handlers", [])


@pytest.mark.parametrize("older_first", [True, pytest.param(False, marks=pytest.mark.slow)])
async def test_two_lost_batches_of_one_size_are_both_found_and_none_is_made_again(tmp_path, older_first):
    plan = QUICK + fault("batches_create", "cut_after", first_n=2)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(6), batch={"max_requests": 3})
        lost = await desk.submit_all(run)
        assert [batch.provider_batch_id for batch in lost] == [None, None]
        await desk.until(desk.all_ended)
        desk.age_doubts()
        for batch in lost if older_first else reversed(lost):
            await look(run, batch.batch_id)
        # what was not found is sent again
        await SendQueue(run, SHARD_SIZE).drain()
        assert desk.made() == 2
        assert desk.outcomes() == {"succeeded": 6}
        desk.assert_books_agree()


@pytest.mark.parametrize(
    "waited", [pytest.param(0, marks=pytest.mark.slow), 1_000], ids=["", "for a quarter of an hour"]
)
async def test_a_batch_that_another_run_is_still_creating_is_not_taken_for_absent(tmp_path, waited):
    """A creation may take long: six tries by default, each of ten minutes, and two minutes between them."""
    plan = QUICK + fault("batches_create", "status", status=529, retry_after=3, first_n=1)
    async with office(tmp_path, plan) as desk:
        first = await desk.begin(some_rows(3), "run-1")
        second = await desk.begin(some_rows(3), "run-2")
        one = asyncio.create_task(SendQueue(first, SHARD_SIZE).drain())
        await desk.until(lambda: desk.batch_states()["prepared"])
        if waited:
            with desk.ledger.write() as connection:
                long_ago = datetime.now(UTC) - timedelta(seconds=waited)
                connection.execute(update(BatchRow).values(prepared_at=long_ago))
        await asyncio.gather(one, SendQueue(second, SHARD_SIZE).drain())
        assert desk.made() == 1
        assert desk.outcomes("run-1") == desk.outcomes("run-2") == {"succeeded": 3}
        desk.assert_books_agree()


async def test_results_that_cannot_be_had_for_a_while_are_waited_for(tmp_path):
    plan = QUICK + fault("batches_results", "status", status=529, first_n=5)
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(3))
        assert desk.outcomes() == {"succeeded": 3}
        desk.assert_books_agree()


async def test_a_stranger_batch_whose_results_are_gone_says_nothing_of_ours(tmp_path):
    plan = QUICK + fault("batches_results", "status", status=404, first_n=1)
    plan += fault("batches_create", "cut_before", match="number 0", first_n=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(2))
        desk.somebody_elses(2)
        await SendQueue(run, SHARD_SIZE).drain()
        assert desk.outcomes() == {"succeeded": 2}
        desk.assert_books_agree()


@pytest.mark.parametrize(
    "endpoint", ["batches_retrieve", pytest.param("batches_list", marks=pytest.mark.slow)]
)
async def test_a_batch_that_may_not_be_looked_at_just_now_is_not_given_up(tmp_path, endpoint):
    plan = QUICK + fault(endpoint, "status", status=403, first_n=1)
    plan += fault("batches_create", "cut_after", first_n=1)
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(2))
        assert desk.outcomes() == {"succeeded": 2}
        desk.assert_books_agree()


@pytest.mark.parametrize("kind", ["cut_after", pytest.param("malformed_body", marks=pytest.mark.slow)])
async def test_a_batch_whose_creation_brought_no_answer_is_found_and_adopted(tmp_path, kind):
    plan = QUICK + fault("batches_create", kind, first_n=1, match="number")
    async with office(tmp_path, plan) as desk:
        strangers = [desk.somebody_elses(7), desk.somebody_elses(3)]
        await desk.night(some_rows(7))
        assert desk.made() == 3
        assert desk.simulator.stats()["received"]["batches_create"] == 3
        assert desk.outcomes() == {"succeeded": 7}
        assert len(desk.ours()) == 7
        [(state, provider_id)] = desk.all(select(BatchRow.state, BatchRow.provider_batch_id))
        assert state == BatchState.ENDED
        assert provider_id not in strangers
        assert {line["batch_id"] for line in desk.ours()} == {provider_id}
        desk.assert_books_agree()


async def test_a_batch_that_never_arrived_is_shown_absent_and_its_jobs_are_sent_again(tmp_path):
    plan = QUICK + fault("batches_create", "cut_before", first_n=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(5), batch={"absent_after_seconds": 3_600})
        [batch] = await desk.submit_all(run)
        assert not await look(run, batch.batch_id)
        assert desk.batch_states() == {"prepared": 1}  # it may still be on its way
        desk.age_doubts()
        await look(run, batch.batch_id)
        assert desk.batch_states() == {"absent": 1}
        assert {attempt.held_nano_usd for attempt in desk.attempts()} == {0}
        assert len(desk.queue(run)) == 5
        assert await look(run, batch.batch_id)
        await SendQueue(run, SHARD_SIZE).drain()
        assert desk.made() == 1
        assert desk.outcomes() == {"succeeded": 5}
        assert desk.batch_states() == {"absent": 1, "ended": 1}
        desk.assert_books_agree()


async def test_somebody_elses_batch_of_the_same_size_is_never_adopted(tmp_path):
    plan = QUICK + fault("batches_create", "cut_before", match="number 0")
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(4))
        theirs = desk.somebody_elses(4)
        await desk.until(desk.all_ended)
        [batch] = await desk.submit_all(run)
        desk.age_doubts()
        for _ in range(3):
            await look(run, batch.batch_id)
        assert desk.batch_states() == {"absent": 1}
        assert theirs not in {row[0] for row in desk.all(select(BatchRow.provider_batch_id))}
        assert desk.ours() == []
        desk.assert_books_agree_so_far()


async def test_while_a_batch_of_the_same_size_is_at_work_nothing_is_decided(tmp_path):
    plan = "[batches]\nprocessing_seconds = 3600\n" + fault("batches_create", "cut_before", match="number 0")
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(4))
        desk.somebody_elses(4)
        [batch] = await desk.submit_all(run)
        desk.age_doubts()
        assert not await look(run, batch.batch_id)
        assert desk.batch_states() == {"prepared": 1}
        assert all(attempt.held_nano_usd == attempt.worst_case_nano_usd for attempt in desk.attempts())


SPOILED = {
    "cut midway": fault("batches_results", "cut_results", first_n=3),
    "cut within the first line": fault("batches_results", "cut_results", first_n=2, fraction=0.0),
    "ended early": fault("batches_results", "end_results_early", first_n=2, fraction=0.4),
    "ended before the last line": fault("batches_results", "end_results_early", first_n=1, fraction=1.0),
    "repeated": fault("batches_results", "repeat_results", every_nth=1, fraction=1.0),
    "a malformed line": fault("batches_results", "malformed_body", first_n=2),
    "refused for a moment": fault("batches_results", "status", status=500, first_n=2),
    "dropped": fault("batches_results", "cut_before", first_n=2),
    "one after another": fault("batches_results", "cut_results", first_n=1, fraction=0.2)
    + fault("batches_results", "repeat_results", first_n=1)
    + fault("batches_results", "end_results_early", first_n=1, fraction=0.7),
    "a batch that cannot be looked at": fault("batches_retrieve", "status", status=500, every_nth=2)
    + fault("batches_retrieve", "cut_after", every_nth=5),
}


#: each spoils them in a way that no other of these does
QUICKLY = (
    "cut midway",
    "repeated",
    "a malformed line",
    "one after another",
    "a batch that cannot be looked at",
)


@pytest.mark.parametrize(
    "lost", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["", "its creation lost"]
)
@pytest.mark.parametrize(
    "how", [how if how in QUICKLY else pytest.param(how, marks=pytest.mark.slow) for how in SPOILED]
)
async def test_however_the_results_come_each_item_is_settled_once(tmp_path, how, lost):
    plan = "[batches]\nprocessing_seconds = 0.1\nrefusal_probability = 0.2\nexpired_probability = 0.1\n"
    plan += SPOILED[how] + (fault("batches_create", "cut_after", first_n=1) if lost else "")
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(30), limits={"tries": 6})
        assert desk.made() == 1
        items = desk.simulator.stats()["batch_items"]
        assert desk.outcomes() == Counter(succeeded=items["succeeded"], deferred=items["expired"])
        assert len(desk.ours()) == items["succeeded"]
        desk.assert_books_agree()


async def test_results_read_in_any_order_by_two_at_once_settle_each_item_once(tmp_path):
    async with office(tmp_path, QUICK + fault("batches_results", "cut_results", every_nth=2)) as desk:
        first, second = await desk.begin(some_rows(40), "run-1"), await desk.begin(some_rows(40), "run-2")
        [batch] = await desk.submit_all(first)
        assert (await admit(second, SHARD_SIZE, may_defer=True)).joined == 40
        await asyncio.gather(*(watch(run, batch) for run in (first, second, first)))
        for run_id in ("run-1", "run-2"):
            assert desk.outcomes(run_id) == {"succeeded": 40}
        assert desk.made() == 1
        desk.assert_books_agree()


async def test_passing_errors_send_the_item_again_and_give_up_in_the_end(tmp_path):
    plan = QUICK + "errored_probability = 0.7\nerrored_status = 529\n"
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(60))
        tries = Counter(attempt.row_number for attempt in desk.attempts())
        for row in desk.jobs():
            own = [attempt for attempt in desk.attempts() if attempt.row_number == row.row_number]
            assert row.outcome == ("succeeded" if own[-1].state == "succeeded" else "failed")
            assert row.outcome == "succeeded" or tries[row.row_number] == 3
        assert set(tries.values()) == {1, 2, 3}
        assert desk.outcomes()["succeeded"] == len(desk.ours()) < 60
        desk.assert_books_agree()


async def test_an_item_that_the_api_refuses_is_rejected_and_costs_nothing(tmp_path):
    plan = QUICK + "errored_probability = 1.0\nerrored_status = 400\n"
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(3))
        assert desk.made() == 1
        assert desk.outcomes() == {"rejected": 3}
        assert {row.reason for row in desk.jobs()} == {Reason.REFUSED_BY_API}
        assert desk.simulator.billed() == []
        desk.assert_books_agree()


async def test_an_expired_batch_defers_its_jobs_and_the_next_run_sends_them(tmp_path):
    plan = "[batches]\nprocessing_seconds = 5\nexpire_after_seconds = 0.3\n"
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(20))
        items = desk.simulator.stats()["batch_items"]
        assert items["expired"] >= 10
        assert desk.outcomes()["deferred"] == items["expired"]
        reasons = {row.reason for row in desk.jobs() if row.outcome == "deferred"}
        assert reasons == {Reason.BATCH_EXPIRED}
        desk.assert_books_agree()
        await desk.night(some_rows(20), "run-2")
        assert desk.simulator.stats()["received"]["batches_create"] == 2
        desk.assert_books_agree()


async def test_a_canceled_batch_bills_what_was_done_and_defers_the_rest(tmp_path):
    plan = "[batches]\nprocessing_seconds = 3600\ncancel_completes_probability = 0.4\n"
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(30))
        [batch] = await desk.submit_all(run)
        await desk.gateway.cancel_batch(batch.provider_batch_id)
        await watch(run, batch)
        items = desk.simulator.stats()["batch_items"]
        assert min(items["succeeded"], items["canceled"]) > 0
        assert desk.outcomes() == Counter(succeeded=items["succeeded"], deferred=items["canceled"])
        reasons = {row.reason for row in desk.jobs() if row.outcome == "deferred"}
        assert reasons == {Reason.BATCH_CANCELED}
        desk.assert_books_agree()


async def test_a_refusal_is_an_answer_with_its_stop_reason(tmp_path):
    async with office(tmp_path, QUICK + "refusal_probability = 1.0\n") as desk:
        await desk.night(some_rows(3))
        assert desk.outcomes() == {"succeeded": 3}
        assert {attempt.stop_reason for attempt in desk.attempts()} == {"refusal"}
        assert len(desk.ours()) == 3
        desk.assert_books_agree()


async def test_an_answer_cut_by_max_tokens_says_so(tmp_path):
    rows = [row | {"max_tokens": 1} for row in some_rows(2)]
    async with office(tmp_path) as desk:
        await desk.night(rows)
        assert "max_tokens" in {attempt.stop_reason for attempt in desk.attempts()}
        desk.assert_books_agree()


async def test_what_a_killed_run_left_is_settled_by_the_next_one_that_waits_for_it(tmp_path):
    plan = QUICK + fault("batches_create", "cut_after", first_n=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(6), batch={"max_requests": 3})
        await desk.submit_all(run)
        abandon(desk.ledger, run.run_id)
        assert runs.close_dead_runs(desk.ledger) == [run.run_id]
        await desk.night(some_rows(6), "run-2")
        assert desk.made() == 2
        assert desk.outcomes("run-1") == desk.outcomes("run-2") == {"succeeded": 6}
        desk.assert_books_agree()


async def test_a_night_of_many_batches_and_every_fault_loses_nothing_and_pays_nothing_twice(tmp_path):
    plan = "seed = 11\n[batches]\nprocessing_seconds = 0.3\njitter = 0.5\nerrored_probability = 0.1\n"
    plan += "expired_probability = 0.05\n"
    plan += fault("batches_create", "cut_after", probability=0.3)
    plan += fault("batches_create", "cut_before", probability=0.2)
    plan += fault("batches_results", "cut_results", probability=0.3, fraction=0.6)
    plan += fault("batches_retrieve", "status", status=500, probability=0.1)
    async with office(tmp_path, plan) as desk:
        await desk.night(some_rows(120), batch={"max_requests": 12}, limits={"tries": 6})
        assert set(desk.outcomes()) <= {"succeeded", "deferred", "failed"}
        assert desk.outcomes()["succeeded"] == len(desk.ours())
        desk.assert_books_agree()
