"""The beginnings of requests: where a marker may stand, what it changes, and when two beginnings are the same."""

import json
from copy import deepcopy
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.payload.payload import InvalidPayload, Payload
from schemas.payload.prefix import cuts_of, marked, up_to
from simulator.billing.catalogue import MODELS
from simulator.billing.counting import count_tokens
from simulator.checks.cache_markers import check_markers
from tests.conversations import PICTURE, conversations, document, text
from tests.strategies import client_tools, examples, request, requests, words

MODEL = "claude-haiku-5-5"
#: parameters of a request that its prompt does not hang on
FREE = ("max_tokens", "stop_sequences", "metadata", "service_tier")
ttls = st.sampled_from(["5m", "1h"])
TOOL = {"name": "a", "input_schema": {"type": "object"}}


def without_markers(value):
    if isinstance(value, dict):
        return {name: without_markers(one) for name, one in value.items() if name != "cache_control"}
    return [without_markers(one) for one in value] if isinstance(value, list) else value


#: requests as a run has them before it marks one
plain_requests = requests.map(without_markers) | conversations()


def blocks(content):
    return [text_of(content)] if isinstance(content, str) else list(content or ())


def text_of(words):
    return {"type": "text", "text": words}


def holder(whole, where):
    """What holds the block at a place: an object, the name of its list, and the number in it."""
    part, *path = where.split("/")
    if part == "messages":
        return whole["messages"][int(path[0])], "content", int(path[1])
    return whole, part, int(path[0]) if path else -1


def beginning(whole, where, model=MODEL):
    """All up to a place, with the model and the parameters that the prompt hangs on, as text: the slow way."""
    prompt = ("tools", "system", "messages")
    others = {name: value for name, value in whole.items() if name not in (*prompt, *FREE)}
    part, *path = where.split("/")
    kept = [model, json.dumps(others, sort_keys=True), json.dumps(whole.get("tools") or [])]
    if part == "tools":
        return kept
    system = blocks(whole.get("system"))
    if part == "system":
        return [*kept, json.dumps(system[: int(path[0]) + 1])]
    number, index = map(int, path)
    turns = [[one["role"], blocks(one["content"])] for one in whole["messages"][: number + 1]]
    turns[-1][1] = turns[-1][1][: index + 1]
    return [*kept, json.dumps(system), json.dumps(turns)]


@given(plain_requests, ttls, st.data())
def test_a_marked_request_is_valid_and_differs_in_nothing_but_the_one_marker(whole, ttl, data):
    before = deepcopy(whole)
    where = data.draw(st.sampled_from([cut.where for cut in cuts_of(whole, MODEL)]))
    found = marked(whole, where, ttl)
    assert whole == before
    Payload.checked(found)
    check_markers(found)
    again = deepcopy(found)
    place, name, number = holder(again, where)
    marker = place[name][number].pop("cache_control")
    assert (marker["type"], marker.get("ttl", "5m")) == ("ephemeral", ttl)
    was, _, _ = holder(whole, where)
    if isinstance(was[name], str):
        assert place[name] == [text_of(was[name])]
        place[name] = was[name]
    assert again == whole
    assert list(found) == list(whole)


@given(plain_requests, ttls, st.sampled_from(MODELS))
def test_a_marker_changes_no_count(whole, ttl, model):
    number = count_tokens(whole, model)
    for cut in cuts_of(whole, model.id):
        assert count_tokens(marked(whole, cut.where, ttl), model) == number


@settings(max_examples=examples(30))
@given(plain_requests, ttls)
def test_a_marked_request_is_known_by_its_marker_so_that_it_is_marked_once_at_most(whole, ttl):
    assert Payload.checked(whole).cache_ttl is None
    for cut in cuts_of(whole, MODEL):
        found = Payload.checked(marked(whole, cut.where, ttl))
        assert found.cache_ttl == ttl
        assert found.text.count(b'"cache_control"') == 1


@settings(max_examples=examples(30))
@given(plain_requests)
def test_places_come_in_the_order_of_the_prompt_each_once_and_heavier_than_the_one_before(whole):
    cuts = list(cuts_of(whole, MODEL))
    assert len({cut.where for cut in cuts}) == len({cut.digest for cut in cuts}) == len(cuts)
    assert [cut.size for cut in cuts] == sorted({cut.size for cut in cuts})
    assert cuts[-1].size <= len(Payload.checked(whole).text) + 30 * len(whole["messages"])
    order = ["tools", "system", "messages"]
    places = [(order.index(part), *map(int, path)) for part, *path in (cut.where.split("/") for cut in cuts)]
    assert places == sorted(places)


def longer(whole, data):
    whole["messages"] += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": "and"}]


def one_word_more(whole, data):
    turn = data.draw(st.sampled_from(whole["messages"]))
    turn["content"] = [*blocks(turn["content"]), text_of(data.draw(words))]


def in_blocks(whole, data):
    """A text written as a list of one block, which is the same prompt."""
    turn = data.draw(st.sampled_from(whole["messages"]))
    turn["content"] = blocks(turn["content"])
    whole["system"] = blocks(whole.get("system"))


def in_two_turns(whole, data):
    """The last block of a message as a message of its own."""
    number = data.draw(st.integers(0, len(whole["messages"]) - 1))
    turn = whole["messages"][number]
    *first, last = blocks(turn["content"])
    if first:
        whole["messages"][number : number + 1] = [{**turn, "content": first}, {**turn, "content": [last]}]


def said_by_another(whole, data):
    turn = data.draw(st.sampled_from(whole["messages"]))
    turn["role"] = {"user": "assistant", "assistant": "user"}[turn["role"]]


def another_system(whole, data):
    whole["system"] = [*blocks(whole.get("system")), text_of(data.draw(words))]


def another_tool(whole, data):
    whole["tools"] = [*whole.get("tools", ()), data.draw(client_tools)]


def free_parameters(whole, data):
    whole.update(max_tokens=whole["max_tokens"] + 1, metadata={"user_id": "x"}, stop_sequences=["end"])
    whole["service_tier"] = "standard_only"


def another_parameter(whole, data):
    name = data.draw(st.sampled_from(["thinking", "tool_choice", "speed", "inference_geo", "output_config"]))
    whole[name] = {"type": "other"}


def other_order(whole, data):
    whole.update(dict(reversed(list(whole.items()))))


CHANGES = [longer, one_word_more, in_blocks, in_two_turns, said_by_another, another_system, another_tool,
           free_parameters, another_parameter, other_order]  # fmt: skip


def assert_a_digest_in_common_is_a_beginning_in_common(one, two):
    known = {cut.digest: (beginning(one, cut.where), cut.size) for cut in cuts_of(one, MODEL)}
    begun = [same for same, _ in known.values()]
    for cut in cuts_of(two, MODEL):
        same = beginning(two, cut.where)
        assert (cut.digest in known) is (same in begun), cut.where
        if cut.digest in known:
            assert known[cut.digest] == (same, cut.size)


@given(plain_requests, st.sampled_from(CHANGES), st.data())
def test_two_requests_have_a_digest_in_common_exactly_where_all_before_it_is_the_same(whole, change, data):
    other = deepcopy(whole)
    change(other, data)
    assert_a_digest_in_common_is_a_beginning_in_common(whole, other)


@settings(max_examples=examples(30))
@given(plain_requests)
def test_the_same_request_under_another_model_has_no_digest_in_common(whole):
    one, two = ({cut.digest for cut in cuts_of(whole, model)} for model in (MODEL, "claude-opus-5-5"))
    assert len(one) == len(two)
    assert not one & two


@settings(max_examples=examples(30))
@given(plain_requests, plain_requests)
def test_requests_that_have_nothing_to_do_with_each_other_agree_as_far_as_they_say_the_same(one, two):
    assert_a_digest_in_common_is_a_beginning_in_common(one, two)


def test_a_marker_stands_on_no_thinking_no_answer_and_no_empty_text():
    spoken = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}, text(2)],
    }
    results = [{"type": "tool_result", "tool_use_id": "call", "content": "found"}]
    turns = [
        {"role": "user", "content": [PICTURE, document(0), text(1)]},
        spoken,
        {"role": "user", "content": [*results, text_of(""), {"type": "search_result"}, text(3)]},
    ]
    whole = {"messages": turns, "system": [text_of(""), text(4)], "tools": [TOOL]}
    assert [cut.where for cut in cuts_of(whole, MODEL)] == [
        "tools", "system/1", "messages/0/0", "messages/0/1", "messages/0/2", "messages/2/0", "messages/2/3",
    ]  # fmt: skip


def test_a_marker_stands_on_no_tool_that_is_loaded_later_which_the_api_refuses():
    whole = request(tools=[TOOL, {**TOOL, "name": "b", "defer_loading": True}], system="s")
    assert [cut.where for cut in cuts_of(whole, MODEL)] == ["system/0", "messages/0/0"]
    whole["tools"].reverse()
    assert next(cuts_of(whole, MODEL)).where == "tools"


def test_no_more_than_the_first_64_places_of_a_request_are_looked_at():
    turns = [{"role": "user", "content": [text(1), text(2)]} for _ in range(50)]
    found = [cut.where for cut in cuts_of({"messages": turns}, MODEL)]
    assert (len(found), found[-1]) == (64, "messages/31/1")


def splits_results(whole, where):
    """Whether a place stands before another result of the same parallel calls."""
    place, name, number = holder(whole, where)
    later = place[name][number + 1 :] if number >= 0 and isinstance(place[name], list) else []
    return any(block["type"] == "tool_result" for block in later)


@given(plain_requests)
def test_what_is_counted_for_a_prefix_is_a_valid_request_that_begins_with_it_and_holds_no_more(whole):
    for cut in cuts_of(whole, MODEL):
        alone = up_to(whole, cut.where)
        if splits_results(whole, cut.where):
            with pytest.raises(InvalidPayload):
                Payload.checked(alone)
            continue
        Payload.checked(alone)
        kept = list(cuts_of(alone, MODEL))
        assert cut.digest in {one.digest for one in kept}
        if cut.where.startswith("messages"):
            assert kept[-1].digest == cut.digest
        else:
            assert alone["messages"] == [{"role": "user", "content": "."}]
            assert kept[-2].digest == cut.digest
            assert "system" in alone or not cut.where.startswith("system")


@given(plain_requests, st.sampled_from(MODELS))
def test_the_weight_of_a_prefix_grows_with_each_place_and_is_at_most_that_of_the_request(whole, model):
    one_letter = 4
    weights = [count_tokens(up_to(whole, cut.where), model) for cut in cuts_of(whole, MODEL)]
    assert max(weights) <= count_tokens(whole, model) + one_letter
    for lighter, heavier in pairwise(weights):
        assert lighter <= heavier + one_letter


@given(plain_requests, st.data())
def test_a_prefix_is_counted_once_whatever_else_its_first_job_asks_for(whole, data):
    free = {"max_tokens": 9_000, "metadata": {"user_id": "x"}, "stop_sequences": ["end"]}
    where = data.draw(st.sampled_from([cut.where for cut in cuts_of(whole, MODEL)]))
    counted = [Payload(up_to(one, where), b"").fingerprint for one in (whole, {**whole, **free})]
    assert counted[0] == counted[1]
