"""The rules of the models, held against an independent witness: the simulator's own checks of the same requests."""

import tomllib
from itertools import product
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload import api_rules
from schemas.payload.api_rules import RULES, ApiRules, limits_of, refusal, sentences
from schemas.payload.payload import InvalidPayload, Payload
from schemas.payload.traits import Traits
from simulator.billing.catalogue import MODELS
from simulator.checks.whole_request import check_body
from simulator.http.api_errors import RefusedError
from tests.strategies import request

ACTIVE = [model for model in MODELS if model.lifecycle != "retired"]
ENABLED = {"type": "enabled", "budget_tokens": 1_024}
THINKING = (None, {"type": "adaptive"}, {"type": "disabled"}, {"type": "between_tools"}, ENABLED)
EFFORTS = (None, "low", "medium", "high", "xhigh", "max", "wild")
TOOL = {"name": "f", "input_schema": {"type": "object"}}
USER, ASSISTANT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "so"}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="}}
CITED = {"type": "text", "text": "x", "citations": [{"type": "char_location"}]}
FOUND = {"type": "search_result", "source": "s", "title": "t", "content": [CITED]}


def thought():
    for thinking, effort in product(THINKING, EFFORTS):
        more = {} if thinking is None else {"thinking": thinking}
        yield request(max_tokens=2_000, **more) | ({"output_config": {"effort": effort}} if effort else {})


def chosen():
    for kind, tools, thinking in product(
        ("auto", "any", "none", "tool", "wild"), ([TOOL], []), (None, ENABLED)
    ):
        choice = {"type": kind} | ({"name": "f"} if kind == "tool" else {})
        yield request(
            max_tokens=2_000, tools=tools, tool_choice=choice, **({"thinking": thinking} if thinking else {})
        )


OTHERS = [
    *(request(max_tokens=n) for n in (1, 64_000, 64_001, 128_000, 128_001)),
    *(request(max_tokens=2_000, thinking={"type": "enabled", "budget_tokens": n}) for n in (1_023, 1_999, 2_000)),
    *(request(inference_geo=where) for where in ("us", "global", "moon")),
    *(request(speed=speed) for speed in ("standard", "fast", "warp")),
    *(request(service_tier=tier) for tier in ("auto", "standard_only", "best")),
    *(request(**{name: 1}) for name in ("temperature", "top_p", "top_k", "fallbacks", "stream")),
    *(request(metadata=data) for data in ({"user_id": "u"}, {"user_id": None}, {"user_id": 1}, {"team": "t"})),
    request(output_config={"format": {"type": "json_schema", "schema": {}}}),
    request(output_config={"format": {"type": "text"}}),
    request(output_config={"format": {"type": "json_schema"}}),
    request(output_config={"task_budget": 1}),
    request() | {"messages": [USER, ASSISTANT]},
    request() | {"messages": [USER, {"role": "assistant", "content": [PDF]}]},
    request() | {"messages": [{"role": "user", "content": [PDF]}]},
    *(request() | {"messages": [{"role": "user", "content": [block]}]} for block in (CITED, FOUND)),
    request() | {"messages": [USER, {"role": "assistant", "content": [CITED]}, USER]},
    request(tools=[TOOL, TOOL]),
    request(tools=[{**TOOL, "name": "a b"}]),
    request(tools=[{"name": "f"}]),
    request(tools=[{"type": "wild_1", "name": "f"}]) | {"tools": [{**TOOL, "name": "n" * 129}]},
    request(tools=[TOOL], tool_choice={"type": "tool", "name": "g"}),
    request(cache_control={"type": "forever"}),
    request(cache_control={"type": "ephemeral", "ttl": "1d"}),
    request(cache_control={"type": "ephemeral", "ttl": "1h"}),
]  # fmt: skip
GRID = [*thought(), *chosen(), *OTHERS]


def ours(sent, model, facts, mode):
    try:
        payload = Payload.checked(sent)
    except InvalidPayload:
        return True
    return refusal(payload.traits, payload.max_tokens, facts, mode) is not None


def theirs(sent, model, mode):
    if mode is Mode.BATCHES and "speed" in sent:
        return True  # simulator/batches/batch_items.py says so before it checks the body
    try:
        check_body({"model": model.id, **sent}, "messages")
    except RefusedError as refused:
        return refused.status == 400
    return False


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("model", ACTIVE, ids=lambda model: model.id)
def test_the_table_refuses_what_the_simulator_refuses(model, mode):
    facts = ModelFacts(model.id, "active")  # nothing stated: the table alone
    different = [
        (sent, theirs(sent, model, mode))
        for sent in GRID
        if ours(sent, model, facts, mode) != theirs(sent, model, mode)
    ]
    if model.fast == 1 and mode is Mode.MESSAGES:
        # the API takes it and runs at standard speed (pricing page, 2026-10-10); we refuse what changes nothing
        assert different == [(request(speed="fast"), False)]
    else:
        assert different == []


@pytest.mark.parametrize("model", ACTIVE, ids=lambda model: model.id)
def test_the_table_and_the_simulator_know_the_same_sizes(model):
    for name in (model.id, *model.aliases):
        limits = limits_of(ModelFacts(name, "active"))
        assert (limits.context_window, limits.max_tokens) == (model.max_input_tokens, model.max_tokens)


def test_every_rule_and_bound_says_where_it_comes_from_and_every_fix_is_of_a_known_value():
    assert all(one.source for one in (*RULES.rules, *RULES.bounds, *RULES.parameters, *RULES.blocks.values()))
    for rule in RULES.rules:
        assert rule.fix or rule.fixes
        assert set(rule.fixes) <= set(RULES.values.get(rule.trait, ()))


def test_what_the_provider_states_goes_before_the_table():
    haiku = ModelFacts("claude-haiku-5-5", "active")
    enabled = Traits(thinking="enabled")
    assert refusal(enabled, 1, haiku, Mode.MESSAGES)
    stated = ModelFacts("claude-haiku-5-5", "active", thinking=frozenset({"enabled"}), max_tokens=10)
    assert refusal(enabled, 1, stated, Mode.MESSAGES) is None
    assert refusal(Traits(thinking="adaptive"), 1, stated, Mode.MESSAGES).column == "thinking"
    assert refusal(Traits(), 11, stated, Mode.MESSAGES).column == "max_tokens"


@pytest.mark.parametrize(
    ("traits", "stated"),
    [
        (Traits(thinking="enabled"), {"thinking": frozenset({"adaptive"})}),
        (Traits(effort="max"), {"efforts": frozenset({"low"})}),
        (Traits(images=True), {"images": False}),
        (Traits(pdfs=True), {"pdfs": False}),
        (Traits(output_format=True), {"structured_outputs": False}),
    ],
)
def test_a_model_that_no_table_knows_refuses_only_what_the_provider_states(traits, stated):
    unknown = ModelFacts("claude-of-tomorrow", "active")
    assert refusal(traits, 10**9, unknown, Mode.MESSAGES) is None
    assert refusal(traits, 1, ModelFacts("claude-of-tomorrow", "active", **stated), Mode.MESSAGES)
    assert refusal(Traits(), 1, ModelFacts("claude-of-tomorrow", "active", **stated), Mode.MESSAGES) is None


def test_a_refusal_of_several_models_is_said_once_with_all_of_them():
    facts = [
        ModelFacts(name, "active") for name in ("claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-4-5")
    ]
    refused = [(one.model, refusal(Traits(forced_tool=True), 100_000, one, Mode.MESSAGES)) for one in facts]
    assert sentences(refused) == (
        "forcing a tool is refused by claude-opus-5-5 and claude-sonnet-5-5 "
        "(use tool_choice auto and ask for the tool in the prompt); "
        "is 100,000, above the 64,000 taken by claude-haiku-4-5 "
        "(ask for fewer, or pin the job to a model that takes more)"
    )


@pytest.mark.parametrize("change", [{"trait": "thinkin"}, {"taken": "effort"}, {"when": {"sped": ["fast"]}}])
def test_a_rule_that_looks_at_what_is_not_there_is_found_when_the_table_is_read(change):
    table = tomllib.loads(Path(api_rules.__file__).with_suffix(".toml").read_text("utf-8"))
    assert ApiRules.model_validate(table) == RULES
    table["rules"][3] |= change
    with pytest.raises(ValidationError, match=r"which no (payload|model) has"):
        ApiRules.model_validate(table)
