"""Simulated thinking: it grows with effort on ordinary requests, and not at every step on hard ones."""

import pytest

from simulator.answers.effort_thinking import HARD_PERCENT, HARD_PERCENT_ELSEWHERE, ORDINARY_PERCENT
from simulator.answers.usage_meter import payload_hash, usage_of
from simulator.billing.cache_prefix import NOT_CACHED
from simulator.billing.catalogue import find_model

EFFORTS = ("low", "medium", "high", "xhigh", "max")
HARD_TEXT = "x" * 12_000


def usage(model="claude-opus-5-5", text="Why?", **more):
    body = {
        "model": model,
        "max_tokens": 60_000,
        "messages": [{"role": "user", "content": text}],
        **more,
    }
    return usage_of(body, find_model(model), NOT_CACHED, payload_hash(body))


def thinking(effort, model="claude-opus-5-5", text="Why?"):
    return usage(model, text, output_config={"effort": effort}).thinking


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"])
def test_thinking_grows_with_effort_on_ordinary_requests(model):
    steps = [thinking(effort, model) for effort in EFFORTS]
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]


def test_on_hard_requests_a_level_may_cost_less_than_the_level_below_it_by_model():
    opus = [thinking(effort, "claude-opus-5-5", HARD_TEXT) for effort in EFFORTS]
    sonnet = [thinking(effort, "claude-sonnet-5-5", HARD_TEXT) for effort in EFFORTS]
    haiku = [thinking(effort, "claude-haiku-5-5", HARD_TEXT) for effort in EFFORTS]
    assert opus[2] < opus[1] < opus[4]
    assert sonnet[3] < sonnet[2] < sonnet[4]
    assert haiku == sorted(haiku)


def test_requests_with_tools_are_hard():
    tool = {"name": "find", "input_schema": {"type": "object"}}
    at = {e: usage(output_config={"effort": e}, tools=[tool]).thinking for e in ("medium", "high")}
    assert at["high"] < at["medium"]


def test_the_text_of_an_answer_is_the_same_at_every_effort():
    texts = set()
    for effort in EFFORTS:
        made = usage(output_config={"effort": effort})
        texts.add(made.output_tokens - made.thinking)
    assert len(texts) == 1


def test_a_larger_budget_may_think_less_and_none_thinks_over_its_budget():
    budgets = (2_000, 8_000, 16_000)
    used = [
        usage("claude-haiku-4-5", HARD_TEXT, thinking={"type": "enabled", "budget_tokens": budget}).thinking
        for budget in budgets
    ]
    assert all(0 < tokens <= budget for tokens, budget in zip(used, budgets, strict=True))
    assert used[2] < used[1]
    assert used[0] < used[1]


def test_what_a_request_wishes_for_and_switched_off_thinking_come_first():
    assert usage(text="Why? [[thinking_tokens=7]]", output_config={"effort": "max"}).thinking == 7
    wished = usage(text="Why? [[output_tokens=90]]", output_config={"effort": "max"})
    assert wished.output_tokens == 90
    off = usage("claude-opus-5", thinking={"type": "disabled"}, output_config={"effort": "high"})
    assert not off.thinking


def test_every_level_has_a_figure_in_every_shape():
    shapes = [*HARD_PERCENT.values(), HARD_PERCENT_ELSEWHERE, ORDINARY_PERCENT]
    assert all(tuple(shape) == EFFORTS for shape in shapes)
