"""Where a request is cut, what its prefixes weigh, and what changes invalidate which of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.billing.cache_prefix import LOOK_BACK, CachedPart, cut_prefixes
from simulator.billing.catalogue import MODELS, find_model
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import check_body

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
OPUS = find_model("claude-opus-5")
LONG = "law " * 2_000
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
CITED = {"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}


def text(words=LONG, **more):
    return {"type": "text", "text": words, **more}


def tool(name="look", **more):
    return {"name": name, "description": LONG, "input_schema": {"type": "object"}, **more}


def request(**more):
    """A request with a marker at the end of each level."""
    return {
        "tools": [tool(**HOUR)],
        "system": [text(**HOUR)],
        "messages": [{"role": "user", "content": [text(**MARK), text("now")]}],
        **more,
    }


def keys(body, model=OPUS):
    """The keys of the prefixes at the markers of a body."""
    prefixes = cut_prefixes(body, model)
    return [prefixes.ends[marker.end].key for marker in prefixes.markers]


def cut_at(body, level):
    """The body without what comes after one of its levels' markers."""
    messages = (
        [{"role": "user", "content": body["messages"][0]["content"][:1]}] if level == "messages" else []
    )
    kept = {name: body[name] for name in ("tools", "system", "tool_choice") if name in body}
    if level == "tools":
        kept.pop("system")
    return {**kept, "messages": messages}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_a_prefix_weighs_what_a_request_of_it_alone_would_count(model):
    prefixes = cut_prefixes(request(tools=[tool(), tool("more", **HOUR)]), model)
    parts = [
        cut_at(request(tools=[tool(), tool("more", **HOUR)]), name)
        for name in ("tools", "system", "messages")
    ]
    counts = [tokens for part in parts if (tokens := count_tokens(part, model)) >= model.min_cacheable]
    assert [prefixes.ends[marker.end].tokens for marker in prefixes.markers] == counts
    assert [marker.ttl for marker in prefixes.markers] == ["1h", "1h", "5m"][3 - len(counts) :]


def test_a_request_without_markers_or_with_short_prefixes_only_is_not_cut():
    assert (
        cut_prefixes(request(tools=[tool()], system=LONG, messages=[{"role": "user", "content": "a"}]), OPUS)
        is None
    )
    short = {"messages": [{"role": "user", "content": [text("short", **MARK)]}]}
    assert cut_prefixes(short, OPUS) is None


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
def test_the_minimum_of_a_model_is_cached_and_one_token_less_is_not(model):
    def cut(tokens):
        top, bottom = model.tokenizer
        words = "x" * (4 * (tokens - 6) * bottom // top)
        body = {"messages": [{"role": "user", "content": [text(words, **MARK), text("now")]}]}
        return cut_prefixes(body, model)

    assert cut(model.min_cacheable).ends[0].tokens == model.min_cacheable
    assert cut(model.min_cacheable - 1) is None


CHANGES = {
    "tools": (request(tools=[tool("other", **HOUR)]), 0),
    "tool order": (request(tools=[{**dict(reversed(tool().items())), **HOUR}]), 3),
    "schema": (request(tools=[tool(**HOUR, input_schema={"type": "object", "properties": {}})]), 0),
    "format": (request(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}}), 0),
    "system": (request(system=[text("law, " * 1_000, **HOUR)]), 1),
    "speed": (request(speed="fast"), 1),
    "citations": (request(messages=[{"role": "user", "content": [text(**MARK), CITED]}]), 1),
    "tool_choice": (request(tool_choice={"type": "any"}), 2),
    "images": (request(messages=[{"role": "user", "content": [text(**MARK), IMAGE]}]), 2),
    "thinking": (request(thinking={"type": "disabled"}), 2),
    "effort": (request(output_config={"effort": "low"}), 2),
    "message": (request(messages=[{"role": "user", "content": [text("law, " * 1_000, **MARK)]}]), 2),
    "role": (request(messages=[{"role": "assistant", "content": [text(**MARK)]}]), 2),
    "after the marker": (request(messages=[{"role": "user", "content": [text(**MARK), text("then")]}]), 3),
    "max_tokens": (request(max_tokens=7), 3),
    "lifetimes": (request(system=[text(**MARK)], tools=[tool(**MARK)]), 3),
    "defaults": (
        request(output_config={"effort": "high"}, thinking={"type": "adaptive"}, tool_choice={"type": "auto"}),
        3,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "kept"), CHANGES.values(), ids=CHANGES)
def test_a_change_invalidates_its_level_and_all_after_it_and_nothing_before(body, kept):
    before, after = keys(request()), keys(body)
    assert after[:kept] == before[:kept]
    assert not set(after[kept:]) & set(before)


def test_models_share_no_prefix():
    assert not set(keys(request())) & set(keys(request(), find_model("claude-sonnet-5-5")))


def test_a_string_is_the_same_as_one_block_of_text():
    whole = {"system": LONG, "messages": [{"role": "user", "content": LONG}], **MARK}
    apart = {"system": [text()], "messages": [{"role": "user", "content": [text()]}], **MARK}
    assert keys(whole) == keys(apart)


def test_a_marker_on_the_request_stands_for_the_last_block_and_gives_way_to_a_marker_there():
    content = [text(), text("now")]
    on_request = cut_prefixes({"messages": [{"role": "user", "content": content}], **MARK}, OPUS)
    on_block = cut_prefixes(
        {"messages": [{"role": "user", "content": [text(), text("now", **HOUR)]}], **MARK}, OPUS
    )
    assert [marker.end for marker in on_request.markers] == [marker.end for marker in on_block.markers] == [1]
    assert [marker.ttl for marker in (*on_request.markers, *on_block.markers)] == ["5m", "1h"]


def test_thinking_that_a_model_does_not_keep_is_no_part_of_a_prefix():
    def body(*thinking):
        turns = [("user", [text()]), ("assistant", [*thinking, text("yes")]), ("user", [text("so", **MARK)])]
        return {"messages": [{"role": role, "content": content} for role, content in turns]}

    thought = {"type": "thinking", "thinking": "hm " * 400, "signature": "s"}
    keeps, drops = OPUS, find_model("claude-sonnet-4-5")
    assert keys(body(thought), keeps) != keys(body(), keeps)
    assert keys(body(thought, thought), drops) == keys(body(thought), drops) == keys(body(), drops)


def positions(*kinds):
    """The blocks looked at from a marker on the last of some blocks, by number."""
    used = {
        "tool_use": {"name": "look", "input": {}, "id": "toolu_1"},
        "tool_result": {"tool_use_id": "toolu_1"},
    }
    content = [text() if kind == "text" else {"type": kind, **used[kind]} for kind in kinds]
    content[-1] = {**content[-1], **MARK}
    return list(cut_prefixes({"messages": [{"role": "user", "content": content}]}, OPUS).looked_at())


def test_twenty_positions_are_looked_at_and_runs_of_tool_blocks_are_one():
    assert positions(*["text"] * 35) == list(range(34, 14, -1))
    calls = ["tool_use"] * 12 + ["tool_result"] * 12
    assert positions(*["text"] * 35, *calls) == list(range(58, 16, -1))
    assert len(positions("text", *["tool_use", "tool_result"] * 30)) == LOOK_BACK


def test_each_marker_has_a_look_back_of_its_own_and_no_block_is_looked_at_twice():
    content = [text(str(number), **(MARK if number in (39, 29, 5) else {})) for number in range(40)]
    body = {"system": LONG, "messages": [{"role": "user", "content": content}]}
    seen = list(cut_prefixes(body, OPUS).looked_at())
    assert seen == [*range(40, 10, -1), *range(6, -1, -1)]


@pytest.mark.parametrize(
    ("hit", "part"),
    [
        (None, CachedPart(0, 200, 100)),
        (0, CachedPart(100, 100, 100)),
        (1, CachedPart(200, 0, 100)),
        (2, CachedPart(300, 0, 0)),
    ],
)
def test_a_bill_has_the_three_positions_of_mixed_lifetimes(hit, part):
    body = {
        "system": [text("x" * 4 * 97, **HOUR), text("x" * 400, **HOUR), text("x" * 400, **MARK)],
        "messages": [{"role": "user", "content": "now"}],
    }
    least = cut_prefixes(body, type(OPUS)(OPUS.id, "", "opus", OPUS.prices, min_cacheable=1))
    assert least.part(hit) == part
    assert [least.missed(hit)] == [least.markers[0 if hit is None else hit + 1 :]]


@settings(deadline=None)
@given(st.lists(st.sampled_from([{}, MARK]), min_size=1, max_size=30), st.integers(1, 30_000), st.data())
def test_any_part_within_any_total_leaves_a_token_and_loses_none_that_fits(marks, total, data):
    marks = [
        mark if sum(bool(each) for each in marks[:index]) < 4 else {} for index, mark in enumerate(marks)
    ]
    body = {"system": [text(**mark) for mark in marks], "messages": [{"role": "user", "content": "a"}]}
    check_body({**body, "model": OPUS.id, "max_tokens": 9}, "messages")
    prefixes = cut_prefixes(body, OPUS)
    if prefixes is None:
        assert not any(marks)
        return
    hit = data.draw(st.sampled_from([None, *prefixes.looked_at()]))
    part = prefixes.part(hit)
    assert part.tokens == prefixes.ends[prefixes.markers[-1].end].tokens <= count_tokens(body, OPUS)
    assert min(part.read, part.write_1h, part.write_5m) >= 0
    cut = part.within(total)
    assert cut.tokens == min(part.tokens, total - 1)
    assert min(cut.read, cut.write_1h, cut.write_5m) >= 0
