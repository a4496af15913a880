"""What can be a count: never nothing, and never far below what the text can weigh."""

from hypothesis import assume, given
from hypothesis import strategies as st

from rules.plausible_count import (
    MOST_BYTES_A_TOKEN,
    impossible_count,
    is_surely_possible,
    least_tokens,
)
from schemas.payload.payload import Payload
from simulator.billing.catalogue import find_model
from simulator.billing.counting import count_tokens as weigh
from tests.strategies import json_objects, requests, texts

HAIKU = find_model("claude-haiku-5-5")
TEXT = "word " * 1_000


def asking(content, **more):
    return {"messages": [{"role": "user", "content": content}], "max_tokens": 5, **more}


@given(requests)
def test_nothing_and_less_is_never_a_count(request):
    assert impossible_count(request, 0)
    assert impossible_count(request, -1)
    assert least_tokens(request) >= 1


@given(st.lists(texts, min_size=1, max_size=6), st.booleans())
def test_text_weighs_at_least_its_share_of_bytes_wherever_it_stands(said, inside):
    blocks = [{"type": "text", "text": text} for text in said]
    content = [{"type": "tool_result", "tool_use_id": "a", "content": blocks}] if inside else blocks
    weight = sum(len(text.encode()) for text in said)
    least = least_tokens(asking(content))
    assert least == least_tokens(asking("".join(said))) == least_tokens(asking("", system="".join(said)))
    assert (least - 1) * MOST_BYTES_A_TOKEN < max(1, weight) <= least * MOST_BYTES_A_TOKEN
    assert impossible_count(asking(content), least) is None
    assert impossible_count(asking(content), least - 1)


@given(json_objects, texts)
def test_what_is_no_text_of_its_own_may_weigh_anything(odd, text):
    assume("content" not in odd)
    blocks = [
        {"type": "image", "source": {"type": "base64", "data": TEXT}},
        {"type": "document", "source": {"type": "text", "data": TEXT}},
        {"type": "thinking", "thinking": TEXT, "signature": TEXT},
        {**odd, "type": "of a kind to come", "text": TEXT},
    ]
    more = {"tools": [{"name": "a", "description": TEXT, "input_schema": odd}]}
    assert least_tokens(asking([*blocks, {"type": "text", "text": text}], **more)) == least_tokens(
        asking(text)
    )


def test_a_summary_stands_for_all_that_was_said_before_it():
    summary = {"role": "assistant", "content": [{"type": "compaction", "content": "short"}]}
    request = {"messages": [{"role": "user", "content": TEXT}, summary], "max_tokens": 5}
    assert least_tokens(request) == 1


@given(requests)
def test_what_the_simulator_counts_is_always_a_count(request):
    payload = Payload.checked(request)
    assume(not payload.traits.uncounted.parts)
    assert impossible_count(request, weigh(payload.count_body(HAIKU.id), HAIKU)) is None


@given(requests, st.integers(-1, 300))
def test_what_is_possible_by_the_bytes_of_a_payload_is_possible_by_its_text(request, tokens):
    payload = Payload.checked(request)
    if is_surely_possible(len(payload.text), tokens):
        assert impossible_count(payload.request, tokens) is None
