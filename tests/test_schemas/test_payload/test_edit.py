"""An edit leaves a request that the API takes: it starts with the user, and calls keep their results."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.payload.edit import Edit, NoSuchEdit, last_turns, turn_starts
from schemas.payload.payload import Payload
from tests.strategies import request, requests


@st.composite
def conversations(draw):
    """Turns of a user's text, any number of tool calls with their results, and perhaps a last word."""
    messages, call = [], 0
    for turn in range(draw(st.integers(1, 6))):
        messages.append({"role": "user", "content": f"question {turn}"})
        for _ in range(draw(st.integers(0, 3))):
            call += 1
            use = {"type": "tool_use", "id": f"t{call}", "name": "look", "input": {}}
            result = {"type": "tool_result", "tool_use_id": f"t{call}", "content": "seen"}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
        messages.append({"role": "assistant", "content": f"answer {turn}"})
    return messages[: draw(st.sampled_from([-1, len(messages)]))]


def ids(messages, kind, name):
    blocks = [block for m in messages if isinstance(m["content"], list) for block in m["content"]]
    return [block[name] for block in blocks if block["type"] == kind]


@given(conversations(), st.data())
def test_the_last_turns_are_whole(messages, data):
    turns = len(turn_starts(messages))
    kept = last_turns(messages, number := data.draw(st.integers(1, turns)))
    assert kept == messages[len(messages) - len(kept) :]
    assert len(turn_starts(kept)) == number
    Payload.checked({"messages": kept, "max_tokens": 1})
    assert set(ids(kept, "tool_result", "tool_use_id")) <= set(ids(kept, "tool_use", "id"))
    if number == turns:
        assert kept == messages
    for wrong in (0, turns + 1):
        with pytest.raises(NoSuchEdit):
            last_turns(messages, wrong)


@given(requests, st.integers(1, 9))
def test_an_edit_changes_what_it_names_and_nothing_else(asked, max_tokens):
    before = dict(asked)
    edited = Edit(max_tokens=max_tokens, system="brief", drop_tools=True).of(asked)
    assert asked == before
    assert edited == {k: v for k, v in asked.items() if k not in ("tools", "tool_choice")} | {
        "max_tokens": max_tokens,
        "system": "brief",
    }
    assert "system" not in Edit(system="").of(asked)
    assert Edit(whole=request("other")).of(asked) == request("other")


def test_tools_that_are_in_use_are_not_dropped():
    used = request([{"type": "tool_result", "tool_use_id": "t", "content": "x"}], tools=[{"name": "look"}])
    with pytest.raises(NoSuchEdit, match="cannot be dropped"):
        Edit(drop_tools=True).of(used)
