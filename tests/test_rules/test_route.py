"""The climb: the first route whose own model counts the job light enough, and nothing decided without a count."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rules.route import Demand, NeedsCount, NoRoute, Routed, climb
from schemas.model_facts import ModelFacts
from schemas.outcome import Mode
from schemas.payload.traits import Traits, Uncounted
from schemas.policy_sections import Route

tokens = st.integers(0, 50)
#: "m0" and so on are models that no table knows, so that only what the provider states is held against them
KINDS = (None, "adaptive", "enabled")


def asked(max_tokens, **traits):
    return Demand(Traits(**traits), max_tokens, Mode.MESSAGES)


@st.composite
def climbs(draw):
    """Routes that climb, their models, and what each model would count for one job."""
    limits = sorted(draw(st.sets(st.integers(1, 40), min_size=1, max_size=4)))
    routes = [Route(name=f"r{n}", model=f"m{n}", up_to_input_tokens=limit) for n, limit in enumerate(limits)]
    models = {
        route.model: ModelFacts(
            route.model,
            "active",
            max_input_tokens=draw(st.none() | st.integers(1, 50)),
            max_tokens=draw(st.none() | st.integers(1, 20)),
        )
        for route in routes
    }
    weights = {route.model: draw(tokens) for route in routes}
    return routes, models, draw(st.integers(1, 20)), weights


def takes(route, facts, max_tokens, weight):
    """Whether a route takes a job, said the long way."""
    answers = facts.max_tokens is None or max_tokens <= facts.max_tokens
    window = facts.max_input_tokens is None or weight <= facts.max_input_tokens
    return answers and window and weight <= route.up_to_input_tokens


@given(climbs())
def test_the_job_goes_to_the_first_route_that_takes_it_and_to_no_other(case):
    routes, models, max_tokens, weights = case
    fitting = [r for r in routes if takes(r, models[r.model], max_tokens, weights[r.model])]
    found = climb(routes, models, asked(max_tokens), weights)
    if fitting:
        assert found == Routed(fitting[0].model, weights[fitting[0].model])
    else:
        assert isinstance(found, NoRoute)
        assert found.why


@given(climbs())
def test_counting_only_what_it_asks_for_ends_at_the_same_route(case):
    routes, models, max_tokens, weights = case
    counted: dict[str, int] = {}
    while isinstance(step := climb(routes, models, asked(max_tokens), counted), NeedsCount):
        assert step.model not in counted
        counted[step.model] = weights[step.model]
    assert step == climb(routes, models, asked(max_tokens), weights)
    if isinstance(step, Routed):
        assert step.input_tokens == counted[step.model]
        assert list(counted)[-1] == step.model  # nothing above it was asked


@given(climbs(), st.data())
def test_a_number_of_another_model_decides_nothing(case, data):
    routes, models, max_tokens, weights = case
    known = data.draw(st.sets(st.sampled_from(sorted(weights))))
    found = climb(routes, models, asked(max_tokens), {model: weights[model] for model in known})
    if isinstance(found, Routed):
        assert found.model in known
    if isinstance(found, NeedsCount):
        assert found.model not in known
        assert models[found.model].max_tokens is None or max_tokens <= models[found.model].max_tokens


@given(climbs(), st.sampled_from(KINDS), st.data())
def test_a_route_whose_model_refuses_the_payload_is_passed_by_and_named(case, kind, data):
    routes, models, max_tokens, weights = case
    models = {
        name: replace(facts, thinking=data.draw(st.none() | st.frozensets(st.sampled_from(KINDS[1:]))))
        for name, facts in models.items()
    }
    fitting = [
        r
        for r in routes
        if takes(r, models[r.model], max_tokens, weights[r.model])
        and (kind is None or models[r.model].thinking is None or kind in models[r.model].thinking)
    ]
    found = climb(routes, models, asked(max_tokens, thinking=kind), weights)
    if fitting:
        assert found == Routed(fitting[0].model, weights[fitting[0].model])
    else:
        assert isinstance(found, NoRoute)
        assert all(f"{route.name} ({route.model}): " in found.why for route in routes)


def test_a_route_holds_what_its_model_reads_in_all_its_calls():
    routes = [Route(name="a", model="m", up_to_input_tokens=10**9)]
    models = {"m": ModelFacts("m", "active", max_input_tokens=100)}
    assert isinstance(climb(routes, models, asked(1), {"m": 300}), NoRoute)
    assert climb(routes, models, asked(1, uncounted=Uncounted(sampling_calls=3)), {"m": 300}) == Routed(
        "m", 300
    )
    assert isinstance(
        climb(routes, models, asked(1, uncounted=Uncounted(sampling_calls=3)), {"m": 301}), NoRoute
    )
