"""The SDK, at its strictest, talks to the simulator as to the real API."""

import re
from pathlib import Path

import anthropic
import pytest
from anthropic import AsyncAnthropic, DefaultAioHttpClient

from simulator import running_simulator
from simulator.billing.billing_log import read_billed

HELLO = {"model": "claude-haiku-5-5", "messages": [{"role": "user", "content": "Hello, Claude"}]}
TOOL = {
    "name": "get_weather",
    "description": "Weather of a place",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}},
}


@pytest.fixture(scope="module")
def simulator():
    with running_simulator() as running:
        yield running


@pytest.fixture
async def client(simulator):
    options = {"max_retries": 0, "_strict_response_validation": True}
    async with AsyncAnthropic(
        api_key="any", base_url=simulator.base_url, http_client=DefaultAioHttpClient(), **options
    ) as sdk:
        yield sdk


async def test_a_count_is_the_documented_example(client):
    answer = await client.messages.count_tokens(**HELLO, system="You are a scientist")
    assert answer.input_tokens == 14


@pytest.mark.parametrize(
    "more",
    [
        {"system": [{"type": "text", "text": "Be brief"}], "stop_sequences": ["END"]},
        {"tools": [TOOL], "tool_choice": {"type": "any"}},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
        {"metadata": {"user_id": "u"}, "service_tier": "auto", "inference_geo": "us"},
        {"tools": [{"type": "web_search_20260318", "name": "web_search"}]},
    ],
    ids=["system", "tools", "thinking", "geo", "server-tool"],
)
async def test_a_message_passes_the_sdk_s_strict_validation(client, simulator, more):
    reply = await client.messages.create(**HELLO, max_tokens=300, **more)
    assert reply.id.startswith("msg_sim_")
    assert reply._request_id.startswith("req_sim_")
    assert "[simulated] " in reply.content[0].to_json() or reply.content[0].type == "tool_use"
    [line] = [line for line in simulator.billed() if line["message_id"] == reply.id]
    usage = reply.usage.model_dump(mode="json", exclude_none=True)
    assert (line["usage"], line["request_id"]) == (usage, reply._request_id)


async def test_models_are_listed_page_by_page_and_found_by_alias(client):
    page = await client.models.list(limit=7)
    assert (len(page.data), page.has_more) == (7, True)
    everything = [model.id async for model in page]
    assert len(everything) == len(set(everything)) > 14
    before = await client.models.list(limit=2, before_id=everything[5])
    assert [model.id for model in before.data] == everything[3:5]
    one = await client.models.retrieve("claude-sonnet-4-5")
    assert one.id == "claude-sonnet-4-5-20250929"
    assert one.capabilities.batch.supported
    assert one.retires_at.date().isoformat() == "2026-11-30"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-none")


async def test_every_answer_says_who_it_is_from_and_what_the_limits_are(client):
    for call in (
        client.messages.with_raw_response.count_tokens(**HELLO),
        client.messages.with_raw_response.create(**HELLO, max_tokens=5),
    ):
        headers = (await call).headers
        assert headers["weighbridge-simulated"] == "true"
        assert headers["request-id"].startswith("req_sim_")
        assert headers["anthropic-organization-id"]
        assert headers["anthropic-ratelimit-requests-limit"] == "60000"
        assert int(headers["anthropic-ratelimit-requests-remaining"]) < 1_000
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", headers["anthropic-ratelimit-requests-reset"])
    assert "anthropic-ratelimit-tokens-limit" in headers


async def test_refusals_arrive_as_the_sdk_s_own_exceptions_and_are_not_billed(client, simulator):
    billed = len(simulator.billed())
    with pytest.raises(anthropic.BadRequestError) as bad:
        await client.messages.create(**HELLO, max_tokens=5, extra_body={"temperature": 0.5})
    assert bad.value.api_message == "temperature: Extra inputs are not permitted"
    assert bad.value.request_id == bad.value.body["request_id"]
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.create(**{**HELLO, "model": "claude-opus-4-1-20250805"}, max_tokens=5)
    assert len(simulator.billed()) == billed


@pytest.mark.parametrize(
    ("limit", "wanted", "output", "reason"),
    [(50, 7, 7, "end_turn"), (50, 50, 50, "end_turn"), (50, 51, 50, "max_tokens"), (9, 0, 1, "end_turn")],
)
async def test_a_request_can_ask_for_its_number_of_output_tokens(client, limit, wanted, output, reason):
    messages = [{"role": "user", "content": f"Write. [[output_tokens={wanted}]]"}]
    reply = await client.messages.create(model="claude-opus-4-8", max_tokens=limit, messages=messages)
    assert (reply.usage.output_tokens, reply.stop_reason) == (output, reason)


async def test_the_same_request_counts_and_costs_the_same_again(client):
    counts = {(await client.messages.count_tokens(**HELLO)).input_tokens for _ in range(3)}
    usages = {
        (await client.messages.create(**HELLO, max_tokens=900)).usage.model_dump_json() for _ in range(3)
    }
    assert (len(counts), len(usages)) == (1, 1)


async def test_a_cached_prefix_is_written_once_and_then_read(client, simulator):
    system = [{"type": "text", "text": "law " * 2_000, "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    first = await client.messages.create(**HELLO, system=system, max_tokens=5)
    second = await client.messages.create(**HELLO, system=system, max_tokens=5)
    written = first.usage.cache_creation.ephemeral_1h_input_tokens
    assert written == first.usage.cache_creation_input_tokens == second.usage.cache_read_input_tokens > 1_900
    assert second.usage.cache_creation_input_tokens == 0
    costs = [line["cost_nano_usd"] for line in simulator.billed()[-2:]]
    assert costs[0] - costs[1] == written * (200 - 10)


async def test_the_statistics_count_calls_and_money_of_this_run(client, simulator, tmp_path):
    before = simulator.stats()
    await client.messages.count_tokens(**HELLO)
    await client.messages.create(**HELLO, max_tokens=5)
    after = simulator.stats()
    assert after["requests"]["count_tokens"]["200"] == before["requests"]["count_tokens"].get("200", 0) + 1
    assert after["received"]["messages"] == before["received"]["messages"] + 1
    assert after["billed"] == len(simulator.billed()) == before["billed"] + 1
    assert after["billed_nano_usd"] == sum(line["cost_nano_usd"] for line in simulator.billed())
    assert read_billed(tmp_path / "none.jsonl") == []
    assert Path(simulator.log).is_absolute()
