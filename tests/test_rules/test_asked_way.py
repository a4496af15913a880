"""The way to think that a run asks for: refused where no route takes it, and else in every request in place of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.asked_way import way_refused, with_way
from rules.read_row import checked_job
from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload.api_rules import RULES
from schemas.payload.invalid import InvalidPayload
from schemas.payload.payload import Payload
from schemas.run import Way
from tests.nights import a_run, text_row
from tests.strategies import policy, request, requests

EFFORTS = RULES.values["effort"]


def models(*efforts):
    """The models of a run whose three routes take these efforts."""
    names = [route.model for route in policy().routes]
    stated = [ModelFacts(name, "active", efforts=taken) for name, taken in zip(names, efforts, strict=True)]
    return a_run(models={facts.model: facts for facts in stated}).models


def test_the_efforts_are_known_from_the_lowest_to_the_highest():
    assert EFFORTS == ("low", "medium", "high", "xhigh", "max")


def test_an_effort_that_the_api_does_not_know_is_refused_with_those_that_it_knows():
    why = way_refused(Way("extreme"), models(None, None, None), Mode.MESSAGES)
    assert (
        why == "The effort 'extreme' is none that the API knows; name one of low, medium, high, xhigh, max."
    )


def test_an_effort_is_refused_only_where_no_route_takes_it():
    low = frozenset({"low"})
    why = way_refused(Way("max"), models(low, low, frozenset()), Mode.MESSAGES)
    assert "effort max is refused by claude-haiku-5-5, claude-sonnet-5-5 and claude-opus-5-5" in why
    assert way_refused(Way("max"), models(low, low, frozenset({"max"})), Mode.MESSAGES) is None
    assert way_refused(Way("low"), models(low, low, frozenset()), Mode.MESSAGES) is None


@given(requests, st.sampled_from(EFFORTS))
def test_nothing_but_the_effort_differs_and_the_fingerprint_does_unless_it_was_the_same(asked, effort):
    before, after = Payload.checked(asked), Payload.checked(with_way(asked, Way(effort)))
    assert after.traits.effort == effort
    was = (asked.get("output_config") or {}).get("effort")
    assert (after.fingerprint == before.fingerprint) == (was == effort)
    config = {name: value for name, value in after.request["output_config"].items() if name != "effort"}
    given_config = {
        name: value for name, value in (asked.get("output_config") or {}).items() if name != "effort"
    }
    assert config == given_config
    assert {name: value for name, value in after.request.items() if name != "output_config"} == {
        name: value for name, value in before.request.items() if name != "output_config"
    }


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"output_config": None},
        {"output_config": '{"effort": "low"}'},
        {"output_config": {"effort": "low", "format": None}},
        {"params": '{"output_config": {"effort": "low"}}'},
    ],
)
def test_wherever_a_row_names_an_effort_it_is_replaced(own):
    run = a_run(models={name: ModelFacts(name, "active") for name in (one.model for one in policy().routes)})
    row = {"job_id": "a"} | text_row("hello") | own
    assert checked_job(0, row, run.policy, run.models, Way("high")).payload.traits.effort == "high"
    assert checked_job(0, row, run.policy, run.models).payload.traits.effort in (None, "low")


def test_what_is_no_output_config_is_refused_as_ever():
    with pytest.raises(InvalidPayload) as refused:
        Payload.checked(with_way(request(output_config="high"), Way("low")))
    assert refused.value.column == "output_config"


def test_a_budget_is_refused_where_no_route_takes_one_or_it_is_no_budget():
    stated = [
        ModelFacts(route.model, "active", thinking=frozenset({"adaptive"})) for route in policy().routes
    ]
    run = a_run(models={facts.model: facts for facts in stated})
    why = way_refused(Way(budget=2_000), run.models, Mode.MESSAGES)
    assert "type enabled is refused by claude-haiku-5-5, claude-sonnet-5-5 and claude-opus-5-5" in why
    takes = a_run(
        models=run.models.listed
        | {"claude-opus-5-5": ModelFacts("claude-opus-5-5", "active", thinking=frozenset({"enabled"}))}
    )
    assert way_refused(Way(budget=2_000), takes.models, Mode.MESSAGES) is None
    assert "at least 1,024 tokens, not 1,000" in way_refused(Way(budget=1_000), takes.models, Mode.MESSAGES)
    both = way_refused(Way("low", 2_000), takes.models, Mode.MESSAGES)
    assert both == "An effort and a thinking budget are two ways to think; ask for one of them."
    assert way_refused(Way(), run.models, Mode.MESSAGES) is None


@given(requests, st.integers(1_024, 5_000))
def test_a_budget_takes_the_place_of_the_thinking_and_the_effort_and_of_nothing_else(asked, budget):
    after = with_way(asked, Way(budget=budget))
    assert after["thinking"] == {"type": "enabled", "budget_tokens": budget}
    config = asked.get("output_config") or {}
    left = {name: value for name, value in config.items() if name != "effort"}
    assert after.get("output_config", {}) == left
    replaced = {"thinking", "output_config"}
    assert {k: v for k, v in after.items() if k not in replaced} == {
        k: v for k, v in asked.items() if k not in replaced
    }
    assert with_way(asked, Way()) == asked
    if budget < asked["max_tokens"] and (asked.get("tool_choice") or {}).get("type") != "any":
        traits = Payload.checked(after).traits
        assert (traits.thinking, traits.thinking_budget, traits.effort) == ("enabled", budget, None)
