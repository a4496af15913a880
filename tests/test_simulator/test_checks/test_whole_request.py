"""What the API would refuse, the simulator refuses: the status, the error type, and no word of the payload."""

import contextlib
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import MESSAGE_FIELDS, check_body
from simulator.http.api_errors import RefusedError
from tests.test_simulator.calls import clock_at, serving

SECRET = "zebra"
KEY = {"authorization": "Bearer any"}


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """At a moment at which the old models that are asked here still answer."""
    with serving(tmp_path_factory, clock_at(datetime(2026, 11, 20, tzinfo=UTC))) as running:
        yield running


def post(simulator, body, path="/v1/messages", headers=KEY):
    """(status, parsed answer, headers) of one POST."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(simulator.base_url + path, raw, dict(headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


def body(**more):
    """A body that is accepted, changed by `more`; a value of `...` takes the field away."""
    made = {"model": "claude-haiku-5-5", "max_tokens": 2_000, "messages": [user(SECRET)], **more}
    return {name: value for name, value in made.items() if value is not ...}


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def block(kind, **fields):
    return {"type": kind, **fields}


def tool(name="t", **more):
    return {"name": name, "input_schema": {"type": "object"}, **more}


def asks(*ids):
    """A turn of the assistant that asks for tools."""
    return assistant([block("tool_use", id=one, name="t", input={}) for one in ids])


def results(*ids, content=SECRET):
    return [block("tool_result", tool_use_id=one, content=content) for one in ids]


def image(media_type="image/png", data="iVBORw=="):
    return block("image", source={"type": "base64", "media_type": media_type, "data": data})


def document(kind="base64", media_type="application/pdf", data="JVBERg=="):
    return block("document", source={"type": kind, "media_type": media_type, "data": data})


def text(ttl=None):
    """A block of text with a cache marker."""
    return block("text", text=SECRET, cache_control={"type": "ephemeral", **({"ttl": ttl} if ttl else {})})


URL_IMAGE = block("image", source={"type": "url", "url": "https://example.org/a.png"})
OK_PDF = block("document", source={"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="})
CITED = block("text", text=SECRET, citations=[{"type": "char_location"}])
SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}

REFUSED = {
    "unknown field": body(zebra_field=1),
    "temperature": body(temperature=0),
    "top_p": body(top_p=0.5),
    "top_k": body(top_k=3),
    "no model": body(model=...),
    "model of a wrong type": body(model=5),
    "no messages": body(messages=...),
    "messages of a wrong type": body(messages=SECRET),
    "empty messages": body(messages=[]),
    "no max_tokens": body(max_tokens=...),
    "max_tokens zero": body(max_tokens=0),
    "max_tokens a fraction": body(max_tokens=1.5),
    "max_tokens true": body(max_tokens=True),
    "max_tokens too large": body(max_tokens=128_001),
    "stream": body(stream="yes"),
    "role system": body(messages=[{"role": "system", "content": SECRET}, user(SECRET)]),
    "first message of the assistant": body(messages=[assistant(SECRET), user(SECRET)]),
    "prefill": body(messages=[user(SECRET), assistant(SECRET)]),
    "message with an unknown field": body(messages=[{**user(SECRET), "name": SECRET}]),
    "message that is no object": body(messages=[SECRET]),
    "no content": body(messages=[{"role": "user"}]),
    "empty content": body(messages=[user("")]),
    "blank content": body(messages=[user(" \n")]),
    "empty list of blocks": body(messages=[user([])]),
    "null content": body(messages=[user(None)]),
    "empty text block": body(messages=[user([block("text", text="")])]),
    "unknown block": body(messages=[user([block(SECRET)])]),
    "block without its field": body(messages=[user([block("text")])]),
    "block field of a wrong type": body(messages=[user([block("text", text=[SECRET])])]),
    "unknown source": body(messages=[user([block("image", source={"type": SECRET})])]),
    "document of the assistant": body(messages=[user(SECRET), assistant([OK_PDF]), user(SECRET)]),
    "citations of the user": body(messages=[user([CITED])]),
    "citations in a search result": body(
        messages=[user([block("search_result", title=SECRET, source=SECRET, content=[CITED])])]
    ),
    "tool result of the assistant": body(
        messages=[user(SECRET), assistant([block("tool_result", tool_use_id="a")]), user(SECRET)]
    ),
    "cache marker": body(cache_control={"type": "ephemeral", "ttl": "2h"}),
    "system with an image": body(system=[URL_IMAGE]),
    "tool without a schema": body(tools=[{"name": "t"}]),
    "tool name": body(tools=[tool("a zebra")]),
    "tool type": body(tools=[tool(type=SECRET)]),
    "tools of one name": body(tools=[tool(), tool()]),
    "tool choice without tools": body(tool_choice={"type": "auto"}),
    "tool choice of no tool": body(tools=[tool()], tool_choice={"type": "tool", "name": SECRET}),
    "tool choice unknown": body(tools=[tool()], tool_choice={"type": SECRET}),
    "forced tool": body(model="claude-sonnet-5-5", tools=[tool()], tool_choice={"type": "any"}),
    "forced tool on fable 5.1": body(model="claude-fable-5-1", tools=[tool()], tool_choice={"type": "any"}),
    "stop sequences": body(stop_sequences=[""]),
    "metadata": body(metadata={"name": SECRET}),
    "service tier": body(service_tier=SECRET),
    "output format": body(output_config={"format": {**SCHEMA, "schema": SECRET}}),
    "effort": body(output_config={"effort": SECRET}),
    "effort of haiku 4.5": body(model="claude-haiku-4-5", output_config={"effort": "low"}),
    "geo of haiku 4.5": body(model="claude-haiku-4-5", inference_geo="us"),
    "fast of haiku 5.5": body(speed="fast"),
    "thinking unknown": body(thinking={"type": SECRET}),
    "thinking enabled on haiku 5.5": body(thinking={"type": "enabled", "budget_tokens": 1_024}),
    "thinking disabled on fable": body(model="claude-fable-5-2", thinking={"type": "disabled"}),
    "thinking disabled at effort max": body(thinking={"type": "disabled"}, output_config={"effort": "max"}),
    "thinking between tools on opus 5": body(model="claude-opus-5", thinking={"type": "between_tools"}),
    "thinking adaptive on haiku 4.5": body(model="claude-haiku-4-5", thinking={"type": "adaptive"}),
    "thinking budget too small": body(
        model="claude-haiku-4-5", thinking={"type": "enabled", "budget_tokens": 1_023}
    ),
    "thinking budget not below max_tokens": body(
        model="claude-haiku-4-5", thinking={"type": "enabled", "budget_tokens": 2_000}
    ),
    "thinking enabled on opus 4.8": body(
        model="claude-opus-4-8", thinking={"type": "enabled", "budget_tokens": 1_024}
    ),
    "thinking disabled on opus 5.5": body(model="claude-opus-5-5", thinking={"type": "disabled"}),
    "thinking disabled on sonnet 5.5": body(model="claude-sonnet-5-5", thinking={"type": "disabled"}),
    "thinking disabled at effort xhigh on opus 5": body(
        model="claude-opus-5", thinking={"type": "disabled"}, output_config={"effort": "xhigh"}
    ),
    "thinking between tools at effort xhigh": body(
        model="claude-sonnet-5-5", thinking={"type": "between_tools"}, output_config={"effort": "xhigh"}
    ),
    "thinking adaptive with a budget": body(thinking={"type": "adaptive", "budget_tokens": 1_024}),
    "thinking display": body(thinking={"type": "adaptive", "display": SECRET}),
    "effort of sonnet 4.5": body(model="claude-sonnet-4-5", output_config={"effort": "high"}),
    "effort xhigh of opus 4.6": body(model="claude-opus-4-6", output_config={"effort": "xhigh"}),
    "effort max of opus 4.5": body(model="claude-opus-4-5", output_config={"effort": "max"}),
    "forced tool on opus 5.5": body(
        model="claude-opus-5-5", tools=[tool()], tool_choice={"type": "tool", "name": "t"}
    ),
    "forced tool on mythos 5.1": body(model="claude-mythos-5-1", tools=[tool()], tool_choice={"type": "any"}),
    "searches none": body(tools=[{"type": "web_search_20260318", "name": "web_search", "max_uses": 0}]),
    "search of another name": body(tools=[{"type": "web_search_20260318", "name": SECRET}]),
    "result without a use": body(messages=[user(results("a"))]),
    "result of another use": body(messages=[user(SECRET), asks("a"), user(results("a", "b"))]),
    "result twice": body(messages=[user(SECRET), asks("a"), user(results("a", "a"))]),
    "result too late": body(
        messages=[user(SECRET), asks("a"), user(SECRET), assistant(SECRET), user(results("a"))]
    ),
    "result after text": body(
        messages=[user(SECRET), asks("a"), user([block("text", text=SECRET), *results("a")])]
    ),
    "use without a result": body(messages=[user(SECRET), asks("a", "b"), user(results("a"))]),
    "use before a string": body(messages=[user(SECRET), asks("a"), user(SECRET)]),
    "use at the end": body(model="claude-haiku-4-5", messages=[user(SECRET), asks("a")]),
    "use of one id twice": body(
        messages=[user(SECRET), asks("a"), user(results("a")), asks("a"), user(results("a"))]
    ),
    "use id": body(messages=[user(SECRET), asks("a zebra"), user(results("a zebra"))]),
    "image of another kind": body(messages=[user([image("image/bmp")])]),
    "image media type of a document": body(messages=[user([image("application/pdf")])]),
    "image that is no base64": body(messages=[user([image(data="zebra!")])]),
    "image with bad padding": body(messages=[user([image(data="iVBORw=")])]),
    "image that is empty": body(messages=[user([image(data="")])]),
    "image in a result": body(
        messages=[user(SECRET), asks("a"), user(results("a", content=[image("image/tiff")]))]
    ),
    "images beyond 100": body(model="claude-haiku-4-5", messages=[user([image()] * 101)]),
    "images beyond 600": body(messages=[user([image()] * 601)]),
    "PDF of another kind": body(messages=[user([document(media_type="text/plain")])]),
    "text document of another kind": body(messages=[user([document("text", "text/html", SECRET)])]),
    "document of the assistant between texts": body(
        messages=[user(SECRET), assistant([CITED, document("text", "text/plain", SECRET)]), user(SECRET)]
    ),
    "five cache markers": body(messages=[user([text()] * 5)]),
    "five cache markers over the request": body(
        system=[text()],
        tools=[tool(cache_control={"type": "ephemeral"})],
        messages=[user([text(), text()])],
        cache_control={"type": "ephemeral"},
    ),
    "an hour after five minutes": body(messages=[user([text(), text("1h")])]),
    "cache marker on thinking": body(
        messages=[
            user(SECRET),
            assistant([block("thinking", thinking="t", signature="s", cache_control={"type": "ephemeral"})]),
            user(SECRET),
        ]
    ),
    "prompt too long": body(messages=[user("x" * 4_000_100)]),
    "not JSON": b'{"model": "zebra"',
    "not an object": b'["zebra"]',
    "invalid UTF-8": b'{"model": "zebra \xff"}',
    "lone surrogate": rb'{"model": "claude-haiku-5-5", "max_tokens": 1, "messages": [{"role": "user", '
    rb'"content": "zebra \ud800"}]}',
    "nested beyond reason": b'{"model": "claude-haiku-5-5", "max_tokens": 1, "messages": [{"role": "user", '
    b'"content": [{"type": "tool_result", "tool_use_id": "zebra", "content": ' + b"[" * 5_000 + b"]" * 5_000 + b"}]}]}",
    "input nested beyond reason": b'{"model": "claude-haiku-5-5", "max_tokens": 1, "messages": [{"role": '
    b'"user", "content": "zebra"}, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "t",'
    b' "input": {"a": ' + b"[" * 600 + b"]" * 600 + b'}}]}, {"role": "user", "content": "zebra"}]}',
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_the_api_would_refuse_is_a_400_that_holds_no_payload_text(simulator, name):
    status, answer, headers = post(simulator, REFUSED[name])
    assert (status, answer["type"], answer["error"]["type"]) == (400, "error", "invalid_request_error")
    assert answer["request_id"] == headers["request-id"]
    assert SECRET not in answer["error"]["message"].replace("zebra_field", "")


@pytest.mark.parametrize("model", ["claude-none", "claude-sonnet-4-20250514"])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_an_unknown_or_retired_model_is_a_404(simulator, model, path):
    wanted = body(model=model, max_tokens=... if path.endswith("count_tokens") else 5)
    status, answer, _ = post(simulator, wanted, path)
    assert (status, answer["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": 5},
        {"metadata": {"user_id": "u"}},
        {"stop_sequences": ["x"]},
        {"service_tier": "auto"},
        {"inference_geo": "us"},
        {"mcp_servers": []},
        {"messages": [user([URL_IMAGE])]},
        {"messages": [user(SECRET), asks("a"), user(results("a", content=[URL_IMAGE]))]},
        {"tools": [{"type": "web_search_20260318", "name": "web_search"}]},
        {"tools": [{"type": "code_execution_20260521", "name": "code_execution"}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "m"}]},
    ],
)
def test_what_messages_takes_and_token_counting_does_not_is_a_400_on_one_path_only(simulator, more):
    counted = post(simulator, body(**{"max_tokens": ..., **more}), "/v1/messages/count_tokens")
    assert (counted[0], counted[1]["error"]["type"]) == (400, "invalid_request_error")
    assert post(simulator, body(**more))[0] == 200


@pytest.mark.parametrize(
    "more",
    [
        {"model": "claude-haiku-4-5", "messages": [user(SECRET), assistant("So")]},
        {"model": "claude-haiku-4-5", "thinking": {"type": "enabled", "budget_tokens": 1_024}},
        {"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}},
        {"model": "claude-opus-4-6", "speed": "fast"},
        {"tools": [tool()], "tool_choice": {"type": "tool", "name": "t"}},
        {"tool_choice": {"type": "none"}},
        {"output_config": {"effort": "low", "format": SCHEMA}},
        {"messages": [user([OK_PDF, block("text", text="Read")]), assistant([CITED]), user("?")]},
        {"messages": [user("a"), user("b")]},
        {"messages": [user("a"), asks("a", "b"), user(results("b")), user(results("a")), user("?")]},
        {"messages": [user("a"), asks("a"), user([*results("a"), block("text", text="?")])]},
        {
            "messages": [
                user("a"),
                assistant("so"),
                asks("a"),
                user(results("a")),
                asks("b"),
                user(results("b")),
            ]
        },
        {"messages": [user([image(f"image/{kind}") for kind in ("jpeg", "png", "gif", "webp")])]},
        {"messages": [user([image()] * 600)]},
        {"messages": [user([document("text", "text/plain", "Read this")])]},
        {"messages": [user([text("1h"), text("1h"), text("5m")])], "cache_control": {"type": "ephemeral"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max"}},
        {"model": "claude-sonnet-5", "thinking": {"type": "disabled"}, "output_config": {"effort": "max"}},
        {"model": "claude-opus-4-8", "thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}},
        {"model": "claude-sonnet-4-6", "thinking": {"type": "enabled", "budget_tokens": 1_024}},
        {
            "model": "claude-sonnet-5-5",
            "thinking": {"type": "between_tools"},
            "output_config": {"effort": "high"},
        },
        {"model": "claude-opus-4-6", "output_config": {"effort": "max"}},
        {"model": "claude-opus-4-5", "output_config": {"effort": "high"}},
    ],
)
def test_what_a_model_takes_is_accepted(simulator, more):
    assert post(simulator, body(**more))[0] == 200


def test_requests_without_a_key_or_a_path_or_beyond_32_mb_have_their_own_errors(simulator):
    for headers in ({}, {"authorization": "Bearer "}, {"x-api-key": ""}):
        status, answer, _ = post(simulator, body(), headers=headers)
        assert (status, answer["error"]["type"]) == (401, "authentication_error")
    assert post(simulator, body(), headers={"x-api-key": "any"})[0] == 200
    status, answer, _ = post(simulator, body(), "/v1/nothing")
    assert (status, answer["error"]["type"]) == (404, "not_found_error")
    status, answer, _ = post(simulator, b" " * (32 * 1024 * 1024 + 1))
    assert (status, answer["error"]["type"]) == (413, "request_too_large")


words = st.sampled_from(
    ["type", "text", "content", "source", "name", "tool_use", "base64", "url", "tool_result"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(MESSAGE_FIELDS)), anything, st.sampled_from(["field", "content", "block", "tool"])
)
def test_any_json_in_any_field_is_accepted_and_counted_or_refused(field, value, place):
    made = {
        "field": body(**{field: value}),
        "content": body(messages=[user(value)]),
        "block": body(messages=[user([value])]),
        "tool": body(tools=[value], tool_choice={"type": "tool", "name": value}),
    }[place]
    for endpoint in ("messages", "count_tokens"):
        with contextlib.suppress(RefusedError):
            assert count_tokens(made, check_body(made, endpoint)) > 0
