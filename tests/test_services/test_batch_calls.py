"""The call that creates a batch, as a server receives it."""

import json

from aiohttp import web

from schemas.policy_sections import RateLimits
from services import batch_body
from services.gateway import open_gateway
from tests.fake_batches import body_of
from tests.strategies import request


async def test_what_the_provider_receives_has_the_size_that_was_packed(monkeypatch):
    monkeypatch.setattr(batch_body, "PIECE_BYTES", 50)
    bodies = []

    async def create(asked):
        bodies.append((await asked.read(), asked.headers))
        made = {"id": "b", "type": "message_batch", "processing_status": "in_progress"}
        counts = dict.fromkeys(("succeeded", "errored", "canceled", "expired"), 0) | {"processing": 2}
        stamps = dict.fromkeys(("created_at", "expires_at"), "2026-11-23T00:00:00Z")
        return web.json_response(made | stamps | {"request_counts": counts})

    app = web.Application()
    app.router.add_post("/v1/messages/batches", create)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    params = [request('é"\\\n\u2028😀\x7f', metadata={"user_id": "ü"}), request("plain")]
    items = [{"custom_id": f"att_{n}", "params": one} for n, one in enumerate(params)]
    body = body_of(*items)
    try:
        async with open_gateway(RateLimits(), f"http://127.0.0.1:{port}") as gateway:
            await gateway.create_batch(body)
    finally:
        await runner.cleanup()
    [(received, headers)] = bodies
    assert json.loads(received) == {"requests": items}
    assert body.size == len(received) == int(headers["content-length"])
    assert headers["content-type"] == "application/json"
    assert "transfer-encoding" not in headers
