"""Payloads: what is refused and where, what is counted and what is sent, and the identity of a request."""

import hashlib
import json
from copy import deepcopy

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.payload.payload import (
    COUNTED_PARAMETERS,
    MAX_REQUEST_BYTES,
    PARAMETERS,
    REFUSED_PARAMETERS,
    UNCOUNTED_PARAMETERS,
    InvalidPayload,
    Payload,
)
from schemas.payload.traits import Traits
from tests.strategies import json_objects, json_values, request, requests, texts

SECRET = "SECRET"
HI = {"role": "user", "content": "hi"}


def user(content):
    return {"messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("max_tokens", {"max_tokens": None}),
        ("max_tokens", {"max_tokens": 0}),
        ("max_tokens", {"max_tokens": -5}),
        ("max_tokens", {"max_tokens": True}),
        ("max_tokens", {"max_tokens": 10.0}),
        ("max_tokens", {"max_tokens": SECRET}),
        ("messages", {"messages": None}),
        ("messages", {"messages": []}),
        ("messages", {"messages": SECRET}),
        ("messages", {"messages": {SECRET: 1}}),
        ("messages", {"messages": [SECRET]}),
        ("messages", {"messages": [{"role": "user", "content": "x", SECRET: 1}]}),
        ("messages", {"messages": [{"role": SECRET, "content": "x"}]}),
        ("messages", {"messages": [{"role": [SECRET], "content": "x"}]}),
        ("messages", {"messages": [{"content": SECRET}]}),
        ("messages", {"messages": [{"role": "system", "content": SECRET}, HI]}),
        ("messages", {"messages": [{"role": "assistant", "content": SECRET}]}),
        ("messages", {"messages": [HI, {"role": "assistant", "content": " \n"}]}),
        ("messages", user("")),
        ("messages", user(None)),
        ("messages", user(7)),
        ("messages", user([])),
        ("messages", user([SECRET])),
        ("messages", user([{"text": SECRET}])),
        ("messages", user([{"type": {SECRET: 1}}])),
        ("messages", user([{"type": "text"}])),
        ("messages", user([{"type": "text", "text": "  "}])),
        ("messages", user("\ud800" + SECRET)),
        ("metadata", {"metadata": {"n": 2**65}}),
        ("metadata", {"metadata": {1: SECRET}}),
        ("metadata", {"metadata": {"x": {SECRET}}}),
        ("system", {"system": 5}),
        ("system", {"system": {SECRET: 1}}),
        ("tools", {"tools": {SECRET: 1}}),
        ("tools", {"tools": [SECRET]}),
        ("tool_choice", {"tool_choice": SECRET}),
        ("thinking", {"thinking": [SECRET]}),
        ("output_config", {"output_config": SECRET}),
        ("cache_control", {"cache_control": SECRET}),
        ("stop_sequences", {"stop_sequences": SECRET}),
        ("stop_sequences", {"stop_sequences": [SECRET, 7]}),
        ("stop_sequences", {"stop_sequences": [SECRET, " "]}),
        ("metadata", {"metadata": SECRET}),
        ("service_tier", {"service_tier": [SECRET]}),
        ("betas", {"betas": [SECRET]}),
    ],
)
def test_a_request_the_api_would_refuse_names_its_column_and_quotes_nothing(column, changes):
    with pytest.raises(InvalidPayload) as refused:
        Payload.checked(request() | changes)
    assert refused.value.column == column
    assert refused.value.reason
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("name", sorted(REFUSED_PARAMETERS))
def test_a_parameter_that_cannot_be_priced_or_is_gone_says_what_to_do(name):
    with pytest.raises(InvalidPayload) as refused:
        Payload.checked(request(**{name: SECRET}))
    assert (refused.value.column, refused.value.reason) == (name, REFUSED_PARAMETERS[name])
    assert "; " in refused.value.reason


@pytest.mark.parametrize("depth", [300, 900])
def test_json_nested_deeper_than_the_writer_goes_is_refused(depth):
    nested: dict = {}
    for _ in range(depth):
        nested = {"a": nested}
    with pytest.raises(InvalidPayload):
        Payload.checked(request(tools=[{"name": "f", "input_schema": {"type": "object"} | nested}]))
    results: list = []
    for _ in range(depth):
        results = [{"type": "tool_result", "tool_use_id": "t", "content": results}]
    with pytest.raises(InvalidPayload):
        Payload.checked(request() | user(results))


def test_a_request_over_the_apis_32_megabytes_is_refused_by_its_bytes_not_its_characters():
    overhead = (
        len(Payload.checked(request("") | {"messages": [{"role": "user", "content": "x"}]}).canonical) - 1
    )
    room = MAX_REQUEST_BYTES - overhead
    assert len(Payload.checked(request("x" * room)).canonical) == MAX_REQUEST_BYTES
    with pytest.raises(InvalidPayload, match="32,000,001 bytes"):
        Payload.checked(request("x" * (room + 1)))
    with pytest.raises(InvalidPayload, match="over the API's limit"):
        Payload.checked(request("é" * (room // 2 + 1)))


@given(st.dictionaries(st.sampled_from(sorted(PARAMETERS)) | texts, json_values, max_size=6))
@example(
    {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": None}]}], "max_tokens": 1}
)
def test_whatever_json_it_is_given_it_is_a_payload_or_refused(anything):
    try:
        payload = Payload.checked(anything)
    except InvalidPayload as error:
        refusal = error
        assert refusal.reason
    else:
        assert payload.max_tokens >= 1
        assert payload.cache_ttl in (None, "5m", "1h")
        assert all(payload.traits.uncounted.parts)
        assert Traits.from_json(orjson.loads(orjson.dumps(payload.traits.as_json()))) == payload.traits


@given(requests, texts)
def test_what_is_counted_is_what_is_sent(sent, model):  # promise 4
    payload = Payload.checked(sent)
    for one in (payload, Payload.restored(payload.text), Payload.restored(payload.text.decode())):
        counted, paid = one.count_body(model), one.message_body(model)
        assert counted == {k: v for k, v in paid.items() if k not in UNCOUNTED_PARAMETERS}
        assert set(counted) <= {"model", *COUNTED_PARAMETERS}
        assert paid == {"model": model, **sent}
        assert counted["model"] == paid["model"] == model


@given(requests)
def test_a_payload_comes_back_from_its_json_as_it_was(sent):
    payload = Payload.checked(sent)
    back = Payload.restored(payload.text)
    assert back.message_body("m") == payload.message_body("m")
    assert (back.fingerprint, back.max_tokens, back.cache_ttl) == (
        payload.fingerprint,
        payload.max_tokens,
        payload.cache_ttl,
    )
    assert (Payload.checked(back.request).text, back.canonical) == (payload.text, payload.canonical)


def reversed_keys(value):
    if isinstance(value, dict):
        return {key: reversed_keys(item) for key, item in reversed(value.items())}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(requests)
def test_the_fingerprint_does_not_depend_on_the_order_of_keys(sent):
    assert Payload.checked(reversed_keys(sent)).fingerprint == Payload.checked(sent).fingerprint


@given(requests, requests)
def test_two_requests_share_a_fingerprint_only_when_they_are_the_same_json(one, other):
    first, second = Payload.checked(one), Payload.checked(other)
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (first.fingerprint == second.fingerprint) == same
    assert first.fingerprint == hashlib.sha256(first.canonical).hexdigest()


@given(requests, st.data())
def test_any_change_of_any_part_changes_the_fingerprint(sent, data):
    changed = deepcopy(sent)
    part = data.draw(st.sampled_from(sorted(changed)))
    if part == "max_tokens":
        changed[part] += 1
    elif part == "messages":
        changed[part].append({"role": "user", "content": "more"})
    else:
        del changed[part]
    assert Payload.checked(changed).fingerprint != Payload.checked(sent).fingerprint


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_the_order_of_a_list_is_part_of_the_fingerprint(order):
    fingerprint = Payload.checked(request(stop_sequences=list(order))).fingerprint
    assert (fingerprint == Payload.checked(request(stop_sequences=["a", "b"])).fingerprint) == (
        order[0] == "a"
    )


URL = {"type": "image", "source": {"type": "url", "url": "https://x.test/SECRET.png"}}
FILE = {"type": "document", "source": {"type": "file", "file_id": "file_SECRET"}}
INLINE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
RESULT = {"type": "tool_result", "tool_use_id": "t"}
F = {"name": "f", "input_schema": {"type": "object"}}


def answered(content):
    """A conversation that ends with the answer to a tool's call."""
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    return {"messages": [HI, {"role": "assistant", "content": [call]}, {"role": "user", "content": content}]}


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        (None, {}),
        (None, {"tools": []}),
        (None, {"tools": [F, F | {"type": "custom", "name": "g"}]}),
        (None, {"tools": [{"type": "computer_toolset_20260801"}, {"type": "browser_toolset_20260801"}]}),
        (None, {"tools": [{"type": "bash_20250124", "name": "bash"}]}),
        (None, user([INLINE])),
        (None, user([{"type": "text", "text": '{"type": "url"}'}])),
        ("server tool web_search_20250305", {"tools": [F, {"type": "web_search_20250305"}]}),
        ("server tool code_execution_20250825", {"tools": [{"type": "code_execution_20250825"}]}),
        ("server tool mcp_toolset", {"tools": [{"type": "mcp_toolset"}]}),
        ("server tool advisor_20260301", {"tools": [{"type": "advisor_20260301"}]}),
        ("server tool of unknown type", {"tools": [{"type": "the SECRET"}]}),
        ("MCP server", {"mcp_servers": [{"type": "url", "url": "https://SECRET.test"}]}),
        ("image block with a url source", user([{"type": "text", "text": "x"}, URL])),
        ("document block with a file source", user([FILE])),
        ("image block with a url source", answered([RESULT | {"content": [INLINE, URL]}])),
        (
            "document block with a file source",
            answered([RESULT | {"content": [RESULT | {"content": [FILE]}]}]),
        ),
        ("document block with a file source", {"system": [FILE]}),
    ],
)
def test_what_the_provider_does_not_count_is_found_wherever_it_stands(part, changes):
    found = Payload.checked(request() | changes).traits.uncounted.parts
    assert found == (() if part is None else (part,))
    assert SECRET not in "".join(found)


def test_a_url_image_inside_a_document_of_content_blocks_is_found():
    document = {"type": "document", "source": {"type": "content", "content": [URL]}}
    assert Payload.checked(request() | user([document])).traits.uncounted.parts == (
        "image block with a url source",
    )


EPHEMERAL = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
MARKED = {"type": "text", "text": "x", "cache_control": EPHEMERAL}


@pytest.mark.parametrize(
    ("ttl", "changes"),
    [
        (None, {}),
        (None, user('"cache_control":{"ttl":"1h"}')),
        ("5m", user([MARKED])),
        ("5m", {"cache_control": {"type": "ephemeral", "ttl": "5m"}}),
        ("1h", {"cache_control": HOUR}),
        ("1h", user([MARKED | {"cache_control": HOUR}, MARKED])),
        ("1h", {"tools": [F | {"cache_control": HOUR}], "system": [MARKED]}),
        ("5m", answered([RESULT | {"content": [MARKED]}])),
        ("5m", user([MARKED, {"type": "text", "text": '"ttl":"1h"'}])),
    ],
)
def test_the_dearest_cache_write_is_known_wherever_it_is_asked_for(ttl, changes):
    assert Payload.checked(request() | changes).cache_ttl == ttl


@given(requests, json_objects)
def test_a_payload_is_safe_from_later_changes_of_the_request_it_came_from(sent, more):
    payload = Payload.checked(sent)
    body, fingerprint = payload.count_body("m"), payload.fingerprint
    sent.update(more)
    payload.message_body("m")["system"] = "changed"
    assert (payload.count_body("m"), payload.fingerprint) == (body, fingerprint)
