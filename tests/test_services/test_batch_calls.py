"""The call that creates a batch, as a server receives it, and what its answer comes to."""

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from schemas.failures import MayBeBilled
from schemas.policy_sections import RateLimits
from services import batch_body
from services.gateway import open_gateway
from tests.fake_batches import body_of
from tests.strategies import request

STAMPS = dict.fromkeys(("created_at", "expires_at"), "2026-11-23T00:00:00Z")
COUNTS = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0) | {"processing": 2}
MADE = {"id": "b", "type": "message_batch", "processing_status": "in_progress", "request_counts": COUNTS}


@asynccontextmanager
async def a_gateway_to(answer):
    """A gateway to a server that answers each creation of a batch so; and the requests that it received."""
    received = []

    async def create(asked):
        received.append((await asked.read(), asked.headers))
        return web.json_response(answer)

    app = web.Application()
    app.router.add_post("/v1/messages/batches", create)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with open_gateway(RateLimits(), f"http://127.0.0.1:{port}") as gateway:
            yield gateway, received
    finally:
        await runner.cleanup()


async def test_what_the_provider_receives_has_the_size_that_was_packed(monkeypatch):
    monkeypatch.setattr(batch_body, "PIECE_BYTES", 50)
    params = [request('é"\\\n\u2028😀\x7f', metadata={"user_id": "ü"}), request("plain")]
    items = [{"custom_id": f"att_{n}", "params": one} for n, one in enumerate(params)]
    body = body_of(*items)
    async with a_gateway_to(MADE | STAMPS) as (gateway, requests):
        await gateway.create_batch(body)
    [(received, headers)] = requests
    assert json.loads(received) == {"requests": items}
    assert body.size == len(received) == int(headers["content-length"])
    assert headers["content-type"] == "application/json"
    assert "transfer-encoding" not in headers


@pytest.mark.parametrize("wrong", [{"id": None}, {"id": 3}, {"id": ""}, {"request_counts": None}])
async def test_an_answer_by_which_the_batch_cannot_be_asked_for_is_none_and_it_may_have_been_made(wrong):
    async with a_gateway_to(MADE | STAMPS | wrong) as (gateway, received):
        with pytest.raises(MayBeBilled):
            await gateway.create_batch(body_of({"custom_id": "att_0", "params": {}}))
    assert len(received) == 1


@pytest.mark.parametrize("odd", [{"expires_at": "soon"}, {"ended_at": "never"}])
async def test_a_moment_that_is_none_in_the_answer_is_not_known(odd):
    async with a_gateway_to(MADE | STAMPS | odd) as (gateway, _):
        made = await gateway.create_batch(body_of({"custom_id": "att_0", "params": {}}))
    assert made.provider_batch_id == "b"
    assert [getattr(made, name) for name in odd] == [None]
