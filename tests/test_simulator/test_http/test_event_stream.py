"""Streaming as the SDK meets it: the events, what they add up to, and one bill."""

import json

import anthropic
import httpx2
import jsonschema
import pytest
from anthropic import AsyncAnthropic, DefaultAioHttpClient
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.answers.content import content_of, own_blocks
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.cache_prefix import NOT_CACHED
from simulator.checks.whole_request import check_body
from simulator.http import replies
from simulator.http.event_stream import events_of
from tests.test_simulator.calls import params

SCHEMA = {
    "type": "object",
    "properties": {"place": {"type": "string"}, "when": {"type": "string", "minLength": 90}},
    "required": ["place", "when"],
}
TOOL = {"name": "get_weather", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20260318", "name": "web_search"}
KINDS = {
    "text": params("Hello [[thinking_tokens=0]]"),
    "thinking": params("Hello [[output_tokens=90]] [[thinking_tokens=40]]"),
    "tool": params(
        "Hello", tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"}, max_tokens=900
    ),
    "cut tool": params("[[output_tokens=50]]", tools=[TOOL], tool_choice={"type": "any"}, max_tokens=9),
    "search": params("[[web_searches=2]]", tools=[SEARCH], max_tokens=900),
    "cut": params("[[output_tokens=90]]", max_tokens=20),
    "refusal": params("[[refusal=cyber]] [[output_tokens=40]]"),
    "early refusal": params("[[refusal_before_output=bio]]"),
    "cached": params(
        system=[{"type": "text", "text": "law " * 2_000, "cache_control": {"type": "ephemeral"}}]
    ),
}
PLAN = "\n".join(
    f'[[faults]]\nendpoint = "messages"\nkind = "{kind}"\nmatch = "<{kind}>"\n{more}'
    for kind, more in {
        "status": "status = 529", "cut_after": "", "cut_body": "fraction = 0.8", "page_after": "status = 524",
        "malformed_body": "", "slow": "seconds = 0.2", "wrong_usage": "factor = 3",
    }.items()
)  # fmt: skip


def plain(message):
    """A message without what differs between two answers to one request: its ids."""
    text = json.dumps(message.to_dict(), default=str).replace(message.id.removeprefix("msg_sim_"), "ID")
    return json.loads(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_adds_up_to_the_message_that_is_sent_without_and_is_billed_once_the_same(
    client, simulator, kind
):
    if kind == "cached":
        client.messages.create(**KINDS[kind])
    whole = client.messages.create(**KINDS[kind])
    before = simulator.billed()
    with client.messages.stream(**KINDS[kind]) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert plain(streamed) == plain(whole)
    assert text == "".join(block.text for block in whole.content if block.type == "text")
    [line] = simulator.billed()[len(before) :]
    whole_line = next(line for line in before if line["message_id"] == whole.id)
    assert (line["message_id"], line["endpoint"]) == (streamed.id, "messages")
    for name in ("usage", "cost_nano_usd", "payload_sha256", "billed", "stop_reason"):
        assert line[name] == whole_line[name]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_async_sdk_takes_the_raw_events_in_the_order_of_the_api(simulator, kind):
    options = {"max_retries": 0, "_strict_response_validation": True}
    async with AsyncAnthropic(
        api_key="any", base_url=simulator.base_url, http_client=DefaultAioHttpClient(), **options
    ) as client:
        events = [event async for event in await client.messages.create(**KINDS[kind], stream=True)]
        async with client.messages.stream(**KINDS[kind]) as stream:
            final = await stream.get_final_message()
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-2], kinds[-1]) == ("message_start", "message_delta", "message_stop")
    assert events[0].message.content == []
    assert events[0].message.usage.output_tokens <= 1
    assert events[-2].usage.output_tokens == final.usage.output_tokens
    assert events[-2].delta.stop_reason == final.stop_reason
    starts = [event.index for event in events if event.type == "content_block_start"]
    assert starts == list(range(len(final.content)))
    assert starts == [event.index for event in events if event.type == "content_block_stop"]


def test_the_bytes_are_named_events_with_a_ping_and_marked_as_simulated(simulator):
    body = {**KINDS["thinking"], "stream": True}
    answer = httpx2.post(f"{simulator.base_url}/v1/messages", headers={"x-api-key": "any"}, json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["weighbridge-simulated"] == "true"
    parts = answer.text.removesuffix("\n\n").split("\n\n")
    named = [part.split("\n") for part in parts]
    assert all(len(lines) == 2 for lines in named)
    for name, data in named:
        assert name == f"event: {json.loads(data.removeprefix('data: '))['type']}"
    names = [name.removeprefix("event: ") for name, _ in named]
    assert names[:3] == ["message_start", "content_block_start", "ping"]
    deltas = {json.loads(data[6:])["delta"]["type"] for name, data in named if name.endswith("block_delta")}
    assert deltas == {"thinking_delta", "signature_delta", "text_delta"}


def test_the_beta_client_streams_too(client):
    with client.beta.messages.stream(**KINDS["tool"]) as stream:
        reply = stream.get_final_message()
    jsonschema.validate(reply.content[-1].input, SCHEMA)


@pytest.mark.parametrize(
    ("kind", "error", "bills"),
    [
        ("status", anthropic.OverloadedError, 0),
        ("cut_after", anthropic.APIConnectionError, 1),
        ("page_after", anthropic.APIStatusError, 1),
        ("cut_body", httpx2.RemoteProtocolError, 1),
    ],
)
def test_faults_strike_streams_as_they_strike_answers(client, simulator, kind, error, bills):
    billed = len(simulator.billed())
    with pytest.raises(error), client.messages.stream(**params(f"<{kind}>")) as stream:
        stream.get_final_message()
    assert [line["fault"] for line in simulator.billed()[billed:]] == [kind] * bills


def test_a_stream_of_half_a_body_ends_cleanly_and_states_no_end(client, simulator):
    with client.messages.stream(**params("<malformed_body>")) as stream:
        assert stream.get_final_message().stop_reason is None
    assert simulator.billed()[-1]["fault"] == "malformed_body"


@pytest.mark.parametrize("kind", ["slow", "wrong_usage"])
def test_a_stream_that_is_slow_or_wrong_about_its_usage_still_ends(client, simulator, kind):
    with client.messages.stream(**params(f"<{kind}>")) as stream:
        reply = stream.get_final_message()
    line = simulator.billed()[-1]
    assert (line["fault"], line["message_id"]) == (kind, reply.id)
    assert line["usage"]["output_tokens"] == reply.usage.output_tokens


@settings(deadline=None)
@given(
    st.text(min_size=1).filter(str.strip), st.integers(1, 400),
    st.sampled_from([{}, {"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tools": [TOOL]}]),
)  # fmt: skip
def test_the_deltas_of_any_answer_add_up_to_its_blocks(text, limit, more):
    body = params(text, **more)
    body["max_tokens"] = limit
    model = check_body(body, "messages")
    usage = usage_of(body, model, NOT_CACHED, payload_hash(body))
    own = own_blocks(body, usage, "msg_sim_1")
    message = replies.message("msg_sim_1", model, usage, own)
    texts = {}
    for event in events_of(message):
        if event["type"] == "content_block_delta":
            delta = event["delta"]
            piece = delta.get("text", delta.get("thinking", delta.get("partial_json", "")))
            texts[event["index"]] = texts.get(event["index"], "") + piece
    for index, block in enumerate(content_of(usage, own)):
        if block["type"] == "tool_use":
            given = texts[index] + ("}" if usage.stop_reason == "max_tokens" else "")
            assert json.loads(given) == block["input"]
        else:
            assert texts[index] == block.get("text", block.get("thinking"))
