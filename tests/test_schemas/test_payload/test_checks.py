"""What API version 2026-10-21 refuses of a request by itself: each with its column and place, none quoting it."""

import pytest

from schemas.payload.payload import InvalidPayload, Payload
from tests.strategies import request

SECRET = "SECRET"
HI, SO = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "so"}
EPHEMERAL = {"type": "ephemeral"}
MARKED = {"type": "text", "text": SECRET, "cache_control": EPHEMERAL}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def user(*blocks):
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def image(data, media="image/png"):
    return {"type": "image", "source": {"type": "base64", "media_type": media, "data": data}}


def call(name):
    return {"type": "tool_use", "id": name, "name": "f", "input": {SECRET: 1}}


def result(name):
    return {"type": "tool_result", "tool_use_id": name, "content": SECRET}


def turns(*contents, first="user"):
    """Messages of the given contents, of the user and the assistant in turn."""
    return {
        "messages": [
            {"role": "assistant" if (n % 2) == (first == "user") else "user", "content": content}
            for n, content in enumerate(contents)
        ]
    }


CITED = {"type": "text", "text": SECRET, "citations": [{"cited_text": SECRET}]}
DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": SECRET}}


@pytest.mark.parametrize(
    ("column", "words", "changes"),
    [
        ("messages", "messages.0.content.1", user(MARKED, CITED)),
        ("messages", "messages.0.content.0.content.0", user({"type": "search_result", "content": [CITED]})),
        ("system", "system.0", {"system": [CITED]}),
        ("messages", "messages.1.content.0 is a document", turns("a", [DOCUMENT], "b")),
        ("messages", "move it into a user message", turns("a", [DOCUMENT], "b")),
        ("messages", "5 cache_control markers", user(*[MARKED] * 4) | {"cache_control": EPHEMERAL}),
        ("messages", "1h after one of 5m", user(MARKED, MARKED | {"cache_control": EPHEMERAL | {"ttl": "1h"}})),
        ("cache_control", "1h after one of 5m", user(MARKED) | {"cache_control": EPHEMERAL | {"ttl": "1h"}}),
        ("tools", "ephemeral", {"tools": [TOOL | {"cache_control": {"type": SECRET}}]}),
        ("messages", "ttl", user(MARKED | {"cache_control": EPHEMERAL | {"ttl": [SECRET]}})),
        ("messages", "100,001 messages", {"messages": [HI, *[SO, HI] * 50_000]}),
        ("messages", "media_type", user(image("aGk=", f"image/{SECRET}"))),
        ("messages", "media_type", user(image("aGk=", "application/pdf"))),
        *(("messages", "not base64", user(image(data))) for data in (
            SECRET, "data:image/png;base64,aGk=", "aG k", "aGk=\n", "a=Gk", "=aGk", "aGk=aGk=", "====", "aé==",
        )),
        ("messages", "no data", user(image(""))),
        ("messages", "1 tool_use block(s) without", turns("a", [call("1"), call("2")], [result("1")])),
        ("messages", "messages.1 has 1 tool_use", turns("a", [call("1")], "b")),
        ("messages", "messages.0.content.0 is a tool_result without", user(result("1"))),
        ("messages", "without its tool_use", turns("a", [call("1")], [result("1")], "b", [result("1")])),
        ("messages", "answers one tool_use twice", turns("a", [call("1")], [result("1"), result("1")])),
        ("messages", "id stands twice", turns("a", [call("1"), call("1")], [result("1")])),
        ("messages", "id stands twice", turns("a", [call("1")], [result("1")], [call("1")], [result("1")])),
        ("messages", "is a tool_use in a message of the user", user(call("1"))),
        ("messages", "has no id", turns("a", [call(7)], [result("1")])),
        ("tools", "earlier tool", {"tools": [TOOL, {"type": "bash_20250124", "name": "f"}]}),
        ("tools", "tools.1 needs a name", {"tools": [TOOL, TOOL | {"name": f"{SECRET}!"}]}),
        ("tools", "tools.0 needs a name", {"tools": [TOOL | {"name": "n" * 129}]}),
        ("tools", "input_schema", {"tools": [{"name": SECRET}]}),
        ("tools", "type that is not text", {"tools": [TOOL | {"type": [SECRET]}]}),
        ("tool_choice", "without tools", {"tool_choice": {"type": "auto"}}),
        ("tool_choice", "not among tools", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": SECRET}}),
        ("tool_choice", "not among tools", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": None}}),
        ("tool_choice", "must be one of", {"tools": [TOOL], "tool_choice": {"type": SECRET}}),
        ("thinking", "must be one of", {"thinking": {"type": [SECRET]}}),
        ("thinking", "needs budget_tokens", {"thinking": {"type": "enabled", "budget_tokens": SECRET}}),
        ("thinking", "at least 1,024", {"thinking": {"type": "enabled", "budget_tokens": 5}}),
        ("thinking", "below max_tokens", {"thinking": {"type": "enabled", "budget_tokens": 2_000}}),
        ("output_config", "besides", {"output_config": {SECRET: 1}}),
        ("output_config", "effort", {"output_config": {"effort": SECRET}}),
        ("output_config", "json_schema", {"output_config": {"format": {"type": SECRET}}}),
        ("metadata", "user_id", {"metadata": {SECRET: 1}}),
        ("metadata", "text", {"metadata": {"user_id": [SECRET]}}),
        ("service_tier", "must be one of", {"service_tier": SECRET}),
        ("inference_geo", "must be one of", {"inference_geo": SECRET}),
        ("speed", "must be one of", {"speed": SECRET}),
        ("mcp_servers", "objects", {"mcp_servers": [SECRET]}),
        ("params", "not a parameter", {f"{SECRET} {SECRET}": 1}),
    ],
)  # fmt: skip
def test_what_the_version_refuses_names_its_place_and_quotes_nothing(column, words, changes):
    with pytest.raises(InvalidPayload) as refused:
        Payload.checked(request() | changes)
    assert refused.value.column == column
    assert words in refused.value.reason
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        user(*[MARKED] * 4),
        user({"type": "text", "text": "x", "citations": []}),
        turns("a", [CITED], "b"),
        user(DOCUMENT),
        {"messages": [HI, *[SO, HI] * 49_999, SO]},
        *(user(image(data)) for data in ("aGk=", "aA==", "aGkh", "+/+/")),
        turns("a", [call("1"), call("2")], [result("2"), result("1")]),
        turns("a", [call("1")], [result("1")], [call("2")], [result("2")], "done"),
        turns("a", [call("1")]),  # prefill: the count judges it
        {
            "messages": [
                HI,
                {"role": "assistant", "content": [call("1")]},
                {"role": "assistant", "content": [call("2")]},
                {"role": "user", "content": [result("2")]},
                {"role": "user", "content": [result("1")]},
            ]
        },
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
        {"tools": [{"type": "computer_toolset_20260801"}], "tool_choice": {"type": "tool", "name": "click"}},
        {"tool_choice": {"type": "none"}},
        {"thinking": {"type": "enabled", "budget_tokens": 1_024}, "max_tokens": 1_025},
        {"output_config": {"effort": None, "format": None}},
        {"metadata": {}},
        {"speed": "fast", "inference_geo": "us"},
    ],
)
def test_what_the_version_takes_is_a_payload(changes):
    assert Payload.checked(request() | changes).request == request() | changes
