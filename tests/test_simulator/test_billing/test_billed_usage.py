"""Counting and billing: the rule of the count, how far the bill may be from it, and the cost to the nano-USD."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

import pytest
from anthropic.resources.messages.messages import DEPRECATED_MODELS
from anthropic.types import Model as SdkModel
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.answers.usage_meter import billed_input, payload_hash, usage_of
from simulator.billing.billed_usage import BilledUsage, cost_nano_usd
from simulator.billing.catalogue import MODELS, find_model
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import check_body
from tests.test_simulator.calls import cold_part

USD_PER_MILLION = {
    # input, output, 5m write, 1h write, read
    "claude-fable-5-2": ("8", "40", "10", "16", "0.20"),
    "claude-mythos-5-1": ("10", "50", "12.50", "20", "0.25"),
    "claude-fable-5": ("10", "50", "12.50", "20", "1"),
    "claude-opus-5-5": ("4", "20", "5", "8", "0.20"),
    "claude-opus-4-8": ("5", "25", "6.25", "10", "0.50"),
    "claude-sonnet-5-5": ("2", "10", "2.50", "4", "0.10"),
    "claude-sonnet-5": ("2", "10", "2.50", "4", "0.20"),
    "claude-sonnet-4-5": ("3", "15", "3.75", "6", "0.30"),
    "claude-haiku-5-5": ("0.10", "0.50", "0.125", "0.20", "0.01"),
    "claude-haiku-4-5": ("1", "5", "1.25", "2", "0.10"),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200).filter(str.strip)
blocks = st.fixed_dictionaries({"type": st.just("text"), "text": texts})
contents = texts | st.lists(blocks, min_size=1, max_size=3)
bodies = st.fixed_dictionaries(
    {
        "model": st.sampled_from([model.id for model in MODELS if model.lifecycle != "retired"]),
        "max_tokens": st.integers(1, 64_000),
        "messages": st.lists(
            st.fixed_dictionaries({"role": st.just("user"), "content": contents}), min_size=1, max_size=4
        ),
    },
    optional={
        "system": contents,
        "tools": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.from_regex(r"[a-z]{1,9}", fullmatch=True),
                    "input_schema": st.just({"type": "object"}),
                }
            ),
            unique_by=lambda tool: tool["name"],
            max_size=3,
        ),
    },
)


@settings(deadline=None)
@given(bodies, st.integers(0, 400_000))
def test_the_bill_stays_within_8_tokens_or_1_percent_of_the_count(body, padding):
    body["messages"].append({"role": "user", "content": "." + "x" * padding})
    model = check_body(body, "messages")
    count = count_tokens(body, model)
    usage = usage_of(body, model, cold_part(body, model), payload_hash(body))
    assert usage == usage_of(body, model, cold_part(body, model), payload_hash(body))
    assert abs(usage.total_input - count) <= max(8, count // 100)
    assert 1 <= usage.output_tokens <= body["max_tokens"]
    assert usage.input_tokens >= 1


def test_the_bill_deviates_in_both_directions_up_to_its_bound():
    differences = {billed_input(5_000, f"{number:016x}") - 5_000 for number in range(1_000)}
    assert differences == set(range(-50, 51))
    assert min(billed_input(1, f"{number:016x}") for number in range(50)) == 1


def count(model="claude-haiku-5-5", **fields):
    body = {"model": model, "messages": [{"role": "user", "content": "x" * 40}], **fields}
    return count_tokens(body, check_body(body, "count_tokens"))


def test_every_model_the_sdk_names_is_known_and_of_the_same_lifecycle():
    """Mythos Preview is left out: no price of it is published."""
    literals = [part for part in get_args(SdkModel) if part is not str]
    names = {name for literal in literals for name in get_args(literal)} - {"claude-mythos-preview"}
    assert len(names) > 15
    assert {name for name in names if find_model(name) is None} == set()
    deprecated = {name for name in names if find_model(name).lifecycle == "deprecated"}
    assert deprecated == names & set(DEPRECATED_MODELS)


TOOLS = [{"name": "t", "input_schema": {"type": "object"}}]


def test_older_models_count_fewer_tokens_for_the_same_text():
    messages = [{"role": "user", "content": "é" * 2_600}]
    assert count(messages=messages) == 1_300 + 6
    assert count("claude-haiku-4-5", messages=messages) == 1_000 + 6


def test_tools_cost_their_text_and_the_model_s_overhead_by_tool_choice():
    definition = -(-len('{"name":"t","input_schema":{"type":"object"}}') // 4)
    plain = count()
    assert count(tools=TOOLS) in range(plain + 286 + definition - 1, plain + 286 + definition + 1)
    assert count(tools=TOOLS, tool_choice={"type": "any"}) - count(tools=TOOLS) == 406 - 286
    assert count(tools=[{"type": "bash_20250124", "name": "bash"}]) == plain + 286 + 325
    assert count("claude-opus-4-5", tools=[{"type": "bash_20250124", "name": "bash"}]) == (
        count("claude-opus-4-5") + 496 + 244
    )


def test_cache_markers_and_effort_do_not_change_the_count_and_media_do():
    marker = {"cache_control": {"type": "ephemeral"}}
    text = {"type": "text", "text": "x" * 40}
    assert count(messages=[{"role": "user", "content": [{**text, **marker}]}], **marker) == count()
    assert count(tools=[{**TOOLS[0], **marker}]) == count(tools=TOOLS)
    assert count(output_config={"effort": "low"}) == count()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    assert count(messages=[{"role": "user", "content": [text, image]}]) == count() + 1_500


def test_thinking_of_earlier_turns_counts_only_where_the_model_keeps_it():
    thought = {"type": "thinking", "thinking": "t" * 400, "signature": "s"}
    answer = {"type": "text", "text": "yes"}
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": [thought, answer]},
        {"role": "user", "content": "second"},
    ]
    bare = [messages[0], {"role": "assistant", "content": [answer]}, messages[2]]
    assert count(messages=messages) == count(messages=bare) + 100
    assert count("claude-haiku-4-5", messages=messages) == count("claude-haiku-4-5", messages=bare)


@pytest.mark.parametrize("name", USD_PER_MILLION)
def test_a_cost_is_the_usage_at_the_published_prices(name):
    usage = BilledUsage(input_tokens=1_001, output_tokens=77, write_5m=13, write_1h=17, read=19)
    rates = [Decimal(rate) * 1_000 for rate in USD_PER_MILLION[name]]
    cost = sum(rate * tokens for rate, tokens in zip(rates, (1_001, 77, 13, 17, 19), strict=True))
    assert cost_nano_usd(usage, find_model(name)) == cost


@pytest.mark.parametrize(("total", "cost"), [(100_000, 10_000_000 + 5_000), (100_001, 50_000_500 + 25_000)])
def test_haiku_5_5_costs_five_times_as_much_from_100_001_input_tokens(total, cost):
    haiku = find_model("claude-haiku-5-5")
    assert cost_nano_usd(BilledUsage(input_tokens=total, output_tokens=10), haiku) == cost
    cached = BilledUsage(input_tokens=1, read=total - 1, output_tokens=0)
    assert cost_nano_usd(cached, haiku) == (100 + 99_999 * 10 if total == 100_000 else 500 + 100_000 * 50)


def test_us_inference_costs_a_tenth_more_and_is_rounded_up():
    haiku = find_model("claude-haiku-5-5")
    assert cost_nano_usd(BilledUsage(input_tokens=1, read=1, output_tokens=0, geo="us"), haiku) == 121
    fast = BilledUsage(input_tokens=10, output_tokens=10, speed="fast")
    assert cost_nano_usd(fast, find_model("claude-opus-5-5")) == 10 * 8_000 + 10 * 40_000


@pytest.mark.parametrize("total", [100_000, 100_001])
def test_every_price_is_the_one_genai_prices_knows(total):
    """Two tables made apart from each other; a difference means that one of them is wrong."""
    usage = BilledUsage(input_tokens=total - 600, write_5m=100, write_1h=200, read=300, output_tokens=1_000)
    theirs = TheirUsage(
        input_tokens=total,
        output_tokens=1_000,
        cache_write_tokens=300,
        cache_write_5m_tokens=100,
        cache_write_1h_tokens=200,
        cache_read_tokens=300,
    )
    when = datetime(2026, 11, 12, tzinfo=UTC)
    unknown = set()
    for model in MODELS:
        try:
            price = calc_price(theirs, model.id, provider_id="anthropic", genai_request_timestamp=when)
        except LookupError:
            unknown.add(model.id)
        else:
            assert (model.id, price.total_price * 10**9) == (model.id, cost_nano_usd(usage, model))
    assert unknown <= {"claude-mythos-5", "claude-mythos-5-1"}
