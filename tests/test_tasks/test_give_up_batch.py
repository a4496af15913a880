"""A batch that brings nothing more is given up: its holds stay, and nobody waits for it for ever."""

import asyncio
import logging
from datetime import timedelta

import pytest

from tasks import give_up_batch
from tasks.read_results import ingest
from tasks.watch_batch import watch
from tests.offices import QUICK, fault, office, some_rows
from tests.processes import SECONDS


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch):
    """The flow's own sending loop, its steps as the plain functions under the tasks."""
    monkeypatch.setattr(logging.getLogger("weighbridge"), "handlers", [])


async def test_results_that_are_gone_for_good_do_not_keep_anyone_waiting_for_ever(tmp_path, monkeypatch):
    """When somebody deletes the batch between the look and the reading."""
    monkeypatch.setattr(give_up_batch, "MISSING_FOR", timedelta(seconds=1))
    async with office(tmp_path) as desk:
        run = await desk.begin(some_rows(3))
        [batch] = await desk.submit_all(run)
        await desk.until(desk.all_ended)
        seen = await desk.gateway.batch(batch.provider_batch_id)
        desk.sdk.messages.batches.delete(batch.provider_batch_id)
        async with asyncio.timeout(SECONDS):
            assert not await ingest(run, batch, seen)
            await watch(run, batch)
        assert desk.outcomes() == {"unknown": 3}
        desk.assert_books_agree(unknown=3)


async def test_a_line_that_never_can_be_read_does_not_keep_anyone_waiting_for_ever(tmp_path):
    plan = QUICK + fault("batches_results", "malformed_body", every_nth=1)
    async with office(tmp_path, plan) as desk:
        run = await desk.begin(some_rows(4))
        [batch] = await desk.submit_all(run)
        async with asyncio.timeout(SECONDS):
            await watch(run, batch)
        assert desk.outcomes() == {"succeeded": 2, "unknown": 2}
        assert sum(attempt.state == "unknown" for attempt in desk.attempts()) == 2


async def test_a_batch_that_the_provider_has_forgotten_keeps_its_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(give_up_batch, "MISSING_FOR", timedelta(seconds=1))
    async with office(tmp_path) as desk:
        run = await desk.begin(some_rows(5))
        [batch] = await desk.submit_all(run)
        await desk.until(desk.all_ended)
        desk.sdk.messages.batches.delete(batch.provider_batch_id)
        await watch(run, batch)
        assert desk.outcomes() == {"unknown": 5}
        assert desk.batch_states() == {"ended": 1}
        desk.assert_books_agree(unknown=5)
        held = sum(attempt.held_nano_usd for attempt in desk.attempts())
        assert held >= sum(line["cost_nano_usd"] for line in desk.ours()) > 0
        # a later run pays for none of them again
        await desk.night(some_rows(5), "run-2")
        assert desk.outcomes("run-2") == {"unknown": 5}
        assert desk.made() == 1
