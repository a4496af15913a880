"""What tools weigh, by counts of a scale that has a fixed prompt for them and a weight for each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.tool_overhead import (
    ENOUGH_ANSWERS,
    LONG_TOOL,
    repeated_bytes,
    tool_advice,
    tool_set,
    tool_weights,
    variants,
)
from schemas.payload.payload import Payload

FIXED, MESSAGE, NAME = 290, 9, 7


def tool(name, words=3, **more):
    return {
        "name": name,
        "description": "word " * words,
        "input_schema": {"type": "object", "properties": {}},
        **more,
    }


def scale(request):
    """Tokens of a request: a word of a description is one, a tool's name NAME, the first tool brings FIXED."""
    tools = request.get("tools", ())
    words = sum(len(one.get("description", "").split()) + NAME for one in tools)
    return MESSAGE + words + (FIXED if tools else 0)


def weighed(tools):
    return tool_weights(tools, {name: scale(request) for name, request in variants(tools).items()})


sets = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 60)), min_size=1, max_size=8).map(
    lambda drawn: [tool(name, words) for name, words in dict(drawn).items()]
)


@given(sets)
def test_each_tool_weighs_its_own_and_the_fixed_prompt_is_named_apart(tools):
    weights = weighed(tool_set({"tools": tools}))
    assert weights.by_name == {one["name"]: len(one["description"].split()) + NAME for one in tools}
    assert weights.fixed == FIXED
    assert weights.with_all == weights.with_none + weights.fixed + sum(weights.by_name.values())
    assert weights.names_only == MESSAGE + FIXED + NAME * len(tools)


@given(sets, st.sampled_from([None, {"type": "auto"}, {"type": "any"}]))
def test_a_set_is_counted_by_requests_that_could_be_sent_and_no_more_of_them_than_needed(tools, choice):
    request = {"tools": tools} | ({"tool_choice": choice} if choice else {})
    asked = variants(tool_set(request))
    for one in asked.values():
        Payload.checked(one)
    assert len(asked) == max(len(tools), 1) + 3
    forced = [one.get("tool_choice") for one in asked.values() if "tools" in one]
    assert set(map(str, forced)) == {str({"type": "any"}) if choice == {"type": "any"} else "None"}


def test_the_same_definitions_are_one_set_whatever_the_order_of_their_keys():
    one = tool_set({"tools": [tool("a")]})
    other = tool_set({"tools": [dict(reversed(tool("a").items()))]})
    assert one.key == other.key
    assert tool_set({"tools": [tool("a"), tool("b")]}).key != one.key
    assert tool_set({"tools": [tool("a")], "tool_choice": {"type": "any"}}).key != one.key
    assert tool_set({"messages": []}) is None
    assert tool_set({"tools": []}) is None


def test_what_the_provider_does_not_count_is_named_and_left_out():
    tools = [
        tool("mine"),
        {"type": "web_search_20250305", "name": "web_search"},
        tool("later", defer_loading=True),
    ]
    found = tool_set({"tools": tools})
    assert found.names == ("mine",)
    assert found.left_out == ("web_search", "later")


def test_markers_of_the_caller_are_not_counted_with():
    marked = tool("a", cache_control={"type": "ephemeral"})
    assert all(
        "cache_control" not in one
        for request in variants(tool_set({"tools": [marked]})).values()
        for one in request.get("tools", ())
    )


def test_paragraphs_that_stand_in_several_descriptions_are_added_up_beyond_the_first_time():
    paragraph = "This tool needs a session. " * 5
    tools = [tool(name, description=f"Does {name}.\n\n{paragraph}") for name in "abc"]
    assert repeated_bytes(tool_set({"tools": tools})) == 2 * len(paragraph.strip())
    assert repeated_bytes(tool_set({"tools": [tool("a"), tool("b")]})) == 0


@pytest.mark.parametrize(
    ("tokens", "calls", "answers", "forced", "advice"),
    [
        (10, 0, ENOUGH_ANSWERS, None, "drop"),
        (10, 0, ENOUGH_ANSWERS - 1, None, None),
        (10, 1, ENOUGH_ANSWERS, None, None),
        (10, 0, ENOUGH_ANSWERS, "a", None),
        (LONG_TOOL, 1, ENOUGH_ANSWERS, None, "shorten"),
        (LONG_TOOL, 0, ENOUGH_ANSWERS, "a", "shorten"),
        (LONG_TOOL - 1, 1, 0, None, None),
    ],
)
def test_the_advice_is_to_drop_what_was_never_called_or_to_shorten(tokens, calls, answers, forced, advice):
    choice = {"tool_choice": {"type": "tool", "name": forced}} if forced else {}
    assert tool_advice("a", tokens, (calls, answers), tool_set({"tools": [tool("a")], **choice})) == advice
