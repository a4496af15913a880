"""A payload is shown as what it is, and nothing in it runs."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from review_page.conversation import Part, conversation

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_each_kind_of_block_reads_as_what_it_is():
    blocks = [
        {"type": "text", "text": "Hello"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": "QUJD"}},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": 'x" onerror="'},
        },
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 400},
        },
        {"type": "thinking", "thinking": "Hm."},
        {"type": "tool_use", "name": "look_up", "input": {"case": 1}},
        {"type": "tool_result", "content": [{"type": "text", "text": "found"}]},
        {"type": "hologram", "beam": 1},
    ]
    told = conversation(
        json.dumps({"system": "Be brief.", "messages": [{"role": "user", "content": blocks}]})
    )
    assert [turn.role for turn in told.turns] == ["system", "user"]
    kinds = [(part.kind, part.heading or part.text) for part in told.turns[1].parts]
    assert kinds == [
        ("text", "Hello"),
        ("picture", "image/png, 3 bytes"),
        ("note", "image of type image/svg+xml, 3 bytes, not shown"),
        ("note", "image of type image/png, 9 bytes, not shown"),
        ("note", "document: application/pdf, 300 bytes, not shown"),
        ("fold", "thinking (3 characters)"),
        ("fold", "calls the tool look_up"),
        ("group", "the tool's result"),
        ("fold", "block of type hologram"),
    ]


@given(
    JSON
    | st.fixed_dictionaries({"messages": st.lists(st.fixed_dictionaries({"role": JSON, "content": JSON}))})
)
def test_whatever_is_stored_can_be_shown_and_a_picture_is_only_a_link(stored):
    def pictures(parts):
        for part in parts:
            assert isinstance(part, Part)
            yield from ([part] if part.kind == "picture" else [])
            yield from pictures(part.parts)

    told = conversation(json.dumps(stored))
    for turn in told.turns:
        for picture in pictures(turn.parts):
            assert re.fullmatch("[0-9a-f]{32}", picture.text)


def test_no_payload_and_no_json_are_shown_as_they_are():
    assert conversation("not JSON").unread == "not JSON"
    deep = '{"messages":[{"role":"user","content":' + "[" * 3_000 + "]" * 3_000 + "}]}"
    assert conversation(deep)
