"""What an answer holds and what its usage says: thinking, tool requests, structured output, server tools."""

import json

import anthropic
import jsonschema
import pytest
from anthropic import AsyncAnthropic, DefaultAioHttpClient
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import running_simulator
from simulator.answers.content import content_of, own_blocks
from simulator.answers.schema_examples import MAX_VALUES, example_of
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.billed_usage import cost_nano_usd
from simulator.billing.catalogue import find_model
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import check_body
from tests.test_simulator.calls import cold_part

SCHEMA = {
    "type": "object",
    "properties": {
        "place": {"type": "string", "minLength": 20},
        "when": {"type": "string", "format": "date"},
        "days": {"type": "integer", "minimum": 2.5},
        "kind": {"enum": ["rain", "sun"]},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/part"}, "minItems": 2},
        "note": {"anyOf": [{"type": "null"}, {"type": "string"}]},
        "spare": {"type": "string"},
    },
    "required": ["place", "when", "days", "kind", "parts", "note"],
    "$defs": {"part": {"allOf": [{"type": "object", "required": ["share"]}, {"$ref": "#/$defs/share"}]},
              "share": {"type": "object", "properties": {"share": {"type": "number", "exclusiveMinimum": 0}},
                        "required": ["share"]}},
}  # fmt: skip
FORM = {"format": {"type": "json_schema", "schema": SCHEMA}}
WEATHER = {"name": "get_weather", "input_schema": SCHEMA}
SEARCH = {"type": "web_search_20260318", "name": "web_search"}
FETCH = {"type": "web_fetch_20260318", "name": "web_fetch"}
CODE = {"type": "code_execution_20260521", "name": "code_execution"}


def body(text="Hello", model="claude-haiku-5-5", **more):
    return {"model": model, "max_tokens": 1_000, "messages": [{"role": "user", "content": text}], **more}


def used(request):
    model = check_body(request, "messages")
    return usage_of(request, model, cold_part(request, model), payload_hash(request))


def answered(request):
    """(usage, content) of a request."""
    usage = used(request)
    return usage, content_of(usage, own_blocks(request, usage, "msg_sim_1"))


@pytest.mark.parametrize(
    ("model", "by_default"),
    [
        ("claude-fable-5-2", True), ("claude-mythos-5", True), ("claude-opus-5-5", True),
        ("claude-opus-5", True), ("claude-sonnet-5-5", True), ("claude-sonnet-5", True),
        ("claude-haiku-5-5", True), ("claude-opus-4-8", False), ("claude-opus-4-7", False),
        ("claude-opus-4-6", False), ("claude-sonnet-4-6", False), ("claude-opus-4-5", False),
        ("claude-haiku-4-5", False), ("claude-sonnet-4-5", False),
    ],
)  # fmt: skip
def test_a_model_thinks_unasked_as_the_documentation_says(model, by_default):
    assert (used(body(model=model)).thinking is not None) == by_default


@pytest.mark.parametrize(
    ("model", "thinking", "thinks"),
    [
        ("claude-haiku-5-5", {"type": "disabled"}, False),
        ("claude-opus-4-8", {"type": "adaptive"}, True),
        ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 1_024}, True),
        ("claude-sonnet-5-5", {"type": "between_tools"}, False),
    ],
)
def test_a_request_switches_thinking_on_and_off(model, thinking, thinks):
    request = body("[[thinking_tokens=7]]", model=model, thinking=thinking, max_tokens=2_000)
    usage, content = answered(request)
    assert (usage.thinking, content[0]["type"]) == ((7, "thinking") if thinks else (None, "text"))


@settings(deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.integers(1, 400))
def test_thinking_is_a_part_of_the_output_and_comes_before_the_text(text, limit):
    usage, content = answered(body(text, max_tokens=limit))
    assert 0 <= usage.thinking <= usage.output_tokens <= limit
    kinds = ["thinking"] * (usage.thinking > 0) + ["text"] * (usage.output_tokens > usage.thinking)
    assert [block["type"] for block in content] == kinds
    assert usage.as_reply()["output_tokens_details"] == {"thinking_tokens": usage.thinking}


@pytest.mark.parametrize(
    ("text", "limit", "figures"),
    [
        ("[[output_tokens=90]] [[thinking_tokens=60]]", 1_000, (90, 60, "end_turn")),
        ("[[output_tokens=90]] [[thinking_tokens=95]]", 1_000, (90, 90, "end_turn")),
        ("[[output_tokens=90]] [[thinking_tokens=60]]", 50, (50, 50, "max_tokens")),
    ],
)
def test_a_request_can_ask_for_its_thinking_which_a_cut_leaves_for_last(text, limit, figures):
    usage = used(body(text, max_tokens=limit))
    assert (usage.output_tokens, usage.thinking, usage.stop_reason) == figures
    without = used(body("[[output_tokens=90]] [[thinking_tokens=1]]")).output_tokens
    assert without == 90


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_a_forced_tool_is_asked_for_with_an_input_that_fits(choice):
    other = {"name": "other", "input_schema": {"type": "object"}}
    usage, content = answered(body(tools=[WEATHER, other], tool_choice=choice))
    assert (usage.stop_reason, content[-1]["name"]) == ("tool_use", "get_weather")
    jsonschema.validate(content[-1]["input"], SCHEMA)
    assert answered(body(tools=[WEATHER, other], tool_choice={"type": "auto"}))[0].stop_reason == "end_turn"


@settings(deadline=None)
@given(st.text(min_size=1).filter(str.strip), st.integers(1, 400), st.sampled_from(["any", "tool"]))
def test_a_forced_tool_is_asked_for_however_little_may_be_written(text, limit, choice):
    forced = {"type": choice} if choice == "any" else {"type": choice, "name": "get_weather"}
    request = {**body(text, tools=[WEATHER], tool_choice=forced), "max_tokens": limit}
    usage, content = answered(request)
    assert usage.stop_reason in ("tool_use", "max_tokens")
    assert content[-1]["type"] == "tool_use"
    assert [block["type"] for block in content[:-1]] == ["thinking"] * (usage.thinking > 0)
    whole = answered(body(text, tools=[WEATHER], tool_choice=forced))[1][-1]["input"]
    if usage.stop_reason == "max_tokens":
        assert content[-1]["input"].items() < whole.items()
    else:
        assert content[-1]["input"] == whole


def test_structured_output_is_json_that_fits_unless_it_was_cut():
    usage, content = answered(body(output_config=FORM))
    assert usage.stop_reason == "end_turn"
    jsonschema.validate(json.loads(content[-1]["text"]), SCHEMA)
    usage, content = answered(
        body("[[output_tokens=30]][[thinking_tokens=0]]", output_config=FORM, max_tokens=9)
    )
    assert usage.stop_reason == "max_tokens"
    with pytest.raises(json.JSONDecodeError):
        json.loads(content[-1]["text"])


leaves = st.sampled_from([
    {"type": "string"}, {"type": "string", "minLength": 30}, {"type": "integer", "minimum": -3},
    {"type": "integer", "exclusiveMinimum": 6}, {"type": "number", "maximum": -2.5}, {"type": "boolean"},
    {"type": "null"}, {"const": [1]}, {"enum": ["a", "b"]}, {"type": ["integer", "null"]}, {},
])  # fmt: skip
schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda item, least: {"type": "array", "items": item, "minItems": least}, inner, st.integers(0, 3)
        ),
        st.builds(
            lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)},
            st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
        ),
        st.builds(lambda variants: {"anyOf": variants}, st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(schemas)
def test_an_example_fits_its_schema(schema):
    jsonschema.validate(example_of(schema), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 10**12},
        {"type": "string", "minLength": 10**12},
        {"type": "object", "properties": 5, "required": [5, "a"], "enum": "x", "allOf": {}},
        {"type": "integer", "exclusiveMinimum": 1e300},
        {"$ref": "https://example.org/schema"},
    ],
)
def test_a_schema_without_an_end_or_sense_is_survived(schema):
    assert len(json.dumps(example_of(schema))) < 100 * MAX_VALUES


@settings(deadline=None)
@given(
    st.text(min_size=1).filter(str.strip),
    st.lists(st.sampled_from([SEARCH, FETCH, CODE]), min_size=1, unique_by=lambda tool: tool["name"]),
    st.none() | st.integers(1, 5),
)
def test_each_use_of_a_server_tool_bills_the_whole_context_again(text, tools, limit):
    tools = [{**tool, **({} if limit is None else {"max_uses": limit})} for tool in tools]
    request = body(text, tools=tools)
    usage, content = answered(request)
    count = count_tokens(request, find_model(request["model"]))
    calls = usage.server.calls
    assert usage.total_input >= (calls + 1) * (count - max(8, count // 100))
    assert (usage.total_input > count + 8) == (calls > 0) or count > 800
    if limit is not None:
        assert max(usage.server.searches, usage.server.fetches, usage.server.executions) <= limit
    assert sum(block["type"] == "server_tool_use" for block in content) in (0, calls)
    assert usage == used(request)


def test_a_request_can_ask_for_its_searches_up_to_the_tool_s_limit():
    limited = {**SEARCH, "max_uses": 2}
    assert used(body("[[web_searches=5]]", tools=[limited])).server.searches == 2
    assert (
        used(body("[[web_searches=5]]", tools=[limited], tool_choice={"type": "none"})).server.searches == 0
    )
    many = used(body("[[web_searches=11]]", tools=[SEARCH]))
    assert (many.server.searches, many.stop_reason) == (10, "pause_turn")
    assert used(body("[[web_searches=5]]")).server is None


def test_a_web_search_costs_a_cent_even_in_a_batch_and_code_execution_nothing_but_tokens():
    haiku = find_model("claude-haiku-4-5")
    usage = used(body("[[web_searches=3]] [[code_executions=2]]", "claude-haiku-4-5", tools=[SEARCH, CODE]))
    tokens = usage.input_tokens * 1_000 + usage.output_tokens * 5_000
    assert (usage.server.searches, usage.server.executions) == (3, 2)
    assert cost_nano_usd(usage, haiku) == tokens + 30_000_000


def test_later_sampling_calls_read_the_cached_prefix():
    system = [{"type": "text", "text": "law " * 2_000, "cache_control": {"type": "ephemeral"}}]
    usage = used(body("[[web_searches=2]]", tools=[SEARCH], system=system))
    assert usage.write_5m > 1_900
    assert usage.read == 2 * usage.write_5m


@pytest.fixture(scope="module")
def simulator():
    with running_simulator() as running:
        yield running


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [SEARCH, FETCH, CODE]},
        {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "get_weather"}},
        {"output_config": FORM},
        {"tools": [{"type": "bash_20250124", "name": "bash"}], "tool_choice": {"type": "any"}},
    ],
    ids=["server-tools", "tool", "format", "client-tool"],
)
async def test_the_sdk_at_its_strictest_takes_every_kind_of_answer(simulator, more):
    text = "[[web_searches=1]] [[web_fetches=1]] [[code_executions=1]] [[thinking_tokens=9]]"
    async with AsyncAnthropic(
        api_key="any",
        base_url=simulator.base_url,
        http_client=DefaultAioHttpClient(),
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        reply = await client.messages.create(**body(text), **more)
    assert reply.content[0].type == "thinking"
    assert reply.usage.output_tokens_details.thinking_tokens == 9
    line = simulator.billed()[-1]
    assert line["usage"] == reply.usage.model_dump(mode="json", exclude_none=True)
    assert (
        line["cost_nano_usd"] > line["usage"].get("server_tool_use", {}).get("web_search_requests", 0) * 10**7
    )


def test_the_results_of_a_batch_hold_the_same_answers(simulator):
    client = anthropic.Anthropic(api_key="any", base_url=simulator.base_url, max_retries=0)
    requests = [
        {"custom_id": "tool", "params": body(tools=[WEATHER], tool_choice={"type": "any"})},
        {"custom_id": "format", "params": body(output_config=FORM)},
        {"custom_id": "search", "params": body("[[web_searches=2]]", tools=[SEARCH])},
    ]
    batch = client.messages.batches.create(requests=requests)
    while batch.processing_status != "ended":
        batch = client.messages.batches.retrieve(batch.id)
    found = {line.custom_id: line.result.message for line in client.messages.batches.results(batch.id)}
    assert found["tool"].stop_reason == "tool_use"
    jsonschema.validate(json.loads(found["format"].content[-1].text), SCHEMA)
    assert found["search"].usage.server_tool_use.web_search_requests == 2
    for request in requests:
        usage, content = answered(request["params"])
        assert found[request["custom_id"]].usage.output_tokens == usage.output_tokens
        assert [block.type for block in found[request["custom_id"]].content] == [
            block["type"] for block in content
        ]
