"""Batches in pieces: what of them is in memory has a bound in bytes and in lines, however many jobs there are."""

import asyncio
import gc
import json

import pytest

from schemas.attempt import HeldAttempt
from schemas.ledger import AttemptRow
from services.ledger import batch_attempts
from tasks import read_results, send_batch
from tasks.send_queue import SendQueue
from tasks.shards import SHARD_SIZE
from tasks.watch_batch import watch
from tests.fake_batches import (
    BatchGateway,
    all_rows,
    assert_budgets_add_up,
    begun,
    message,
    outcomes,
    submitted_all,
)
from tests.processes import SECONDS

pytestmark = pytest.mark.one_database


@pytest.fixture
def gateway():
    return BatchGateway()


def payload_bytes_in_memory(ledger):
    """Of the attempts of a ledger: those of another test may not be gone yet."""
    ours = {attempt.attempt_id for attempt in all_rows(ledger, AttemptRow)}
    held = [one for one in gc.get_objects() if isinstance(one, HeldAttempt) and one.attempt_id in ours]
    return sum(len(one.payload) for one in held if one.payload is not None)


async def test_payloads_are_in_memory_a_page_at_a_time_while_batches_are_made(
    ledger, gateway, tmp_path, monkeypatch
):
    page = 2_000
    monkeypatch.setattr(send_batch, "_PAGE_BYTES", page)
    seen, create = [], gateway.create_batch

    async def created(body):
        seen.append((payload_bytes_in_memory(ledger), body.size))
        return await create(body)

    monkeypatch.setattr(gateway, "create_batch", created)
    run = await begun(ledger, gateway, tmp_path, count=120, batch={"max_bytes": 5_000})
    await SendQueue(run, SHARD_SIZE).drain()
    assert len(seen) > 2
    in_memory, sizes = zip(*seen, strict=True)
    assert 0 < max(in_memory) <= page < max(sizes), "a batch is larger than what is in memory of it"
    assert outcomes(ledger) == ["succeeded"] * 120


async def together(under_way, two):
    """Returns once two have been under way at a time, and more could have come if more may."""
    if len(under_way) >= 2:
        two.set()
    await asyncio.wait_for(two.wait(), SECONDS)
    await asyncio.sleep(0.1)


async def test_no_more_batches_are_made_at_a_time_than_may_be(ledger, gateway, tmp_path, monkeypatch):
    making, seen, create, two = set(), [], gateway.create_batch, asyncio.Event()

    async def slow(body):
        making.add(id(body))
        await together(making, two)
        seen.append((len(making), len(all_rows(ledger, AttemptRow)) - 5 * len(gateway.made)))
        made = await create(body)
        making.discard(id(body))
        return made

    monkeypatch.setattr(gateway, "create_batch", slow)
    run = await begun(ledger, gateway, tmp_path, count=40, batch={"max_requests": 5})
    await SendQueue(run, SHARD_SIZE).drain()
    assert len(gateway.made) == 8
    at_once, admitted = zip(*seen, strict=True)
    assert max(at_once) == 2
    assert max(admitted) <= 20, "attempts are admitted for those that are made, and for the next ones"
    assert outcomes(ledger) == ["succeeded"] * 40
    assert_budgets_add_up(ledger)


@pytest.mark.parametrize("limit", ["lines", "bytes"])
async def test_results_are_read_and_settled_in_pieces_of_few_lines_and_few_bytes(
    ledger, gateway, tmp_path, monkeypatch, limit
):
    if limit == "lines":
        monkeypatch.setattr(read_results, "_GROUP", 3)
    else:
        raw = json.dumps({"custom_id": f"att_{0:032x}", "result": {"message": message("claude-haiku-5-5")}})
        monkeypatch.setattr(read_results, "_GROUP_BYTES", 2 * len(raw) + 1)
    run = await begun(ledger, gateway, tmp_path, count=10)
    [batch] = await submitted_all(run)
    pieces, settle_items = [], batch_attempts.settle_items
    monkeypatch.setattr(
        batch_attempts,
        "settle_items",
        lambda ledger, ends: pieces.append(len(ends)) or settle_items(ledger, ends),
    )
    handed_over, gateway_results = [], gateway.batch_results

    async def counted(seen):
        async for line in gateway_results(seen):
            handed_over.append(line)
            yield line
            assert len(handed_over) - sum(pieces) < 3, "more lines are held than may be"

    monkeypatch.setattr(gateway, "batch_results", counted)
    await watch(run, batch)
    assert max(pieces) <= 3
    assert sum(pieces) == 10
    assert outcomes(ledger) == ["succeeded"] * 10
    assert_budgets_add_up(ledger)


async def test_no_more_results_are_read_at_a_time_than_may_be(ledger, gateway, tmp_path, monkeypatch):
    run = await begun(ledger, gateway, tmp_path, count=6, batch={"max_requests": 1})
    made = await submitted_all(run)
    reading, most, gateway_results, two = set(), [], gateway.batch_results, asyncio.Event()

    async def slow(seen):
        reading.add(seen.provider_batch_id)
        await together(reading, two)
        most.append(len(reading))
        async for line in gateway_results(seen):
            yield line
        reading.discard(seen.provider_batch_id)

    monkeypatch.setattr(gateway, "batch_results", slow)
    await asyncio.gather(*(watch(run, batch) for batch in made))
    assert (len(made), max(most)) == (6, 2)
    assert outcomes(ledger) == ["succeeded"] * 6
