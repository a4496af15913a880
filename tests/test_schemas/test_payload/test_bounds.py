"""Bounds: never below the bill, and none where nothing bounds it."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.model_facts import ModelFacts
from schemas.payload.bounds import input_bound
from schemas.payload.payload import Payload
from simulator.billing.catalogue import MODELS
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import check_body
from tests.strategies import request, requests

ACTIVE = [model for model in MODELS if model.lifecycle != "retired"]
MODEL = ModelFacts("claude-haiku-5-5", "active")
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def image(source="url"):
    return {"type": "image", "source": {"type": source, {"url": "url", "file": "file_id"}[source]: "x"}}


def document(source="url"):
    return image(source) | {"type": "document"}


def said(*content):
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, *content]}]}


def bound(changes, counted=100, facts=MODEL):
    return input_bound(Payload.checked(request() | changes).traits, counted, facts)


remote = st.sampled_from([image("url"), image("file"), document("url"), document("file")])


@st.composite
def partly_countable(draw):
    """A request that the API takes, with parts that the provider does not count put into it."""
    sent = draw(requests)
    sent.pop("thinking", None)
    parts = draw(st.lists(remote, min_size=1, max_size=3))
    nested = draw(st.booleans())
    if nested:
        parts = [{"type": "document", "source": {"type": "content", "content": parts}}]
    sent["messages"] = [*sent["messages"], {"role": "user", "content": parts}]
    return sent


@given(partly_countable(), st.sampled_from(ACTIVE))
def test_a_bound_is_never_below_what_is_billed(sent, model):
    # what only some of the models take
    sent = {name: sent[name] for name in sent.keys() - {"output_config", "tool_choice", "speed"}}
    payload = Payload.checked(sent)
    counted = payload.bound_body(model.id)
    check_body(counted, "count_tokens")  # takes it: nothing that cannot be counted is left
    found = input_bound(payload.traits, count_tokens(counted, model), ModelFacts(model.id, "active"))
    assert found >= count_tokens(payload.message_body(model.id), model)


@given(requests)
def test_of_a_payload_that_is_counted_in_full_both_bodies_are_the_same(sent):
    payload = Payload.checked(sent)
    assert payload.bound_body("m") == payload.count_body("m")
    assert (payload.traits.uncounted.sampling_calls, payload.traits.uncounted.web_searches) == (1, 0)
    assert input_bound(payload.traits, 7, MODEL) == 7


@pytest.mark.parametrize(
    ("found", "changes"),
    [
        (100 + 4_784, said(image())),
        (100 + 2 * 4_784, said(image(), image("file"))),
        (1_000_000, said(document())),
        (1_000_000, said(image(), document("file"))),
        (6_000_000, {"tools": [SEARCH | {"max_uses": 5}]}),
        (3_000_000, {"tools": [FETCH | {"max_uses": 2, "max_content_tokens": 9}]}),
        (
            4_000_000,
            {"tools": [SEARCH | {"max_uses": 1}, FETCH | {"max_uses": 2, "max_content_tokens": 9}]},
        ),
        (None, {"tools": [SEARCH]}),
        (None, {"tools": [SEARCH | {"max_uses": True}]}),
        (None, {"tools": [SEARCH | {"max_uses": 0}]}),
        (None, {"tools": [SEARCH | {"max_uses": 10**18}]}),
        (None, {"tools": [FETCH | {"max_uses": 2}]}),
        (None, {"tools": [SEARCH | {"max_uses": 1}, {"type": "code_execution_20250825", "name": "c"}]}),
        (None, {"tools": [{"type": "web_search_20260209", "name": "web_search", "max_uses": 1}]}),
        (None, {"tools": [{"type": "tool_search_tool_bm25_20251119", "name": "t"}]}),
        (None, {"tools": [{"type": "advisor_20260301", "name": "a"}]}),
        (None, {"mcp_servers": [{"type": "url"}]}),
        (None, said({"type": "video", "source": {"type": "url", "url": "x"}})),
    ],
)
def test_each_part_has_its_bound_or_the_whole_has_none(found, changes):
    assert bound(changes) == found


def test_searches_are_counted_apart_since_each_is_billed():
    tools = [SEARCH | {"max_uses": 5}, FETCH | {"max_uses": 2, "max_content_tokens": 9}]
    uncounted = Payload.checked(request(tools=tools)).traits.uncounted
    assert (uncounted.sampling_calls, uncounted.web_searches) == (8, 5)


def test_an_image_is_never_more_than_the_window_and_a_rest_over_the_window_stays_over_it():
    small = ModelFacts("claude-haiku-5-5", "active", max_input_tokens=3_000)
    assert bound(said(image()), 100, small) == 3_000
    assert bound(said(image()), 3_001, small) == 3_001


def test_under_a_model_that_nobody_knows_only_a_stated_window_bounds():
    assert bound(said(image()), 1, ModelFacts("claude-of-tomorrow", "active")) is None
    assert bound(said(document()), 1, ModelFacts("claude-of-tomorrow", "active")) is None
    stated = ModelFacts("claude-of-tomorrow", "active", max_input_tokens=50)
    assert bound(said(image()), 1, stated) == 50


def test_the_body_that_is_counted_keeps_all_the_rest():
    sent = request() | said(image()) | {"tools": [TOOL, SEARCH | {"max_uses": 1}]}
    body = Payload.checked(sent | {"tool_choice": {"type": "auto"}}).bound_body("m")
    assert body["tools"] == [TOOL]
    assert body["tool_choice"] == {"type": "auto"}
    assert body["messages"][0]["content"][0] == {"type": "text", "text": "look"}
    assert b"url" not in orjson.dumps(body)
    forced = sent | {"tool_choice": {"type": "tool", "name": "web_search"}}
    assert "tool_choice" not in Payload.checked(forced).bound_body("m")
    assert "tools" not in Payload.checked(request(tools=[SEARCH])).bound_body("m")
