"""The ways to think: those that a model takes, each by what was observed at that very way, and by nothing else."""

import shlex
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rules.lesson import Observation, Tally
from rules.quote_text import as_quote_markdown, measuring_lines
from rules.read_row import check_models
from rules.thinking_ways import (
    MEASURED_ROWS,
    Measuring,
    ThinkingWays,
    asked_way,
    ways_of,
)
from schemas.job import Job
from schemas.model_facts import ModelFacts
from schemas.money import to_nano, to_usd
from schemas.outcome import Method, Mode
from schemas.payload.api_rules import RULES
from schemas.payload.invalid import InvalidPayload
from schemas.payload.payload import Payload
from schemas.payload.traits import PayloadClass
from schemas.quote import QuoteReport
from schemas.run import RunOptions, Way
from tests.nights import a_run
from tests.strategies import request

ADAPTIVE, FREE = {"type": "adaptive"}, {"type": "enabled", "budget_tokens": 1_024}
#: models of each kind of thinking, as api_rules.toml has them
NAMES = ("claude-opus-5-5", "claude-opus-4-6", "claude-opus-4-5", "claude-haiku-4-5", "claude-nobody-knows")
BUDGETS = (2_000, 8_000, 16_000)
NOTHING = Tally()


def routed(model, tokens=1_000, number=0, **asked):
    payload = Payload.checked(request(max_tokens=asked.pop("max_tokens", 20_000), **asked))
    waiting = Job(row_number=number, job_id=f"job-{number}", payload=payload).queued()
    return waiting.__class__(
        **{name: getattr(waiting, name) for name in waiting.__slots__}
        | {"model": model, "input_tokens": tokens, "method": Method.COUNTED}
    )


def scale_of(*names):
    return a_run(models={name: ModelFacts(name, "active", None, 200_000, 64_000) for name in names}).scale


def seen_at(lengths):
    return Tally(Observation(100, 100, length, 64_000, thinking=length // 2) for length in lengths)


@given(
    st.sampled_from(NAMES),
    st.sampled_from([ADAPTIVE, FREE, {"type": "between_tools"}]),
    st.sampled_from([None, "low", "max"]),
    st.sampled_from([2_000, 8_001, 20_000]),
)
def test_a_way_is_compared_exactly_where_the_model_takes_the_job_asked_so(name, thinking, effort, most):
    """Judged by making the request that the way stands for, and reading it as a row is read."""
    facts = ModelFacts(name, "active")
    own = {"thinking": thinking, "max_tokens": most}
    assume(_takes(facts, **own))
    config = {} if effort is None else {"output_config": {"effort": effort}}
    ways = list(ways_of(routed(name, **own, **config), facts, Mode.MESSAGES, BUDGETS))
    assert ways[0] == Way()
    for level in RULES.values["effort"]:
        takes = _takes(facts, **own, output_config={"effort": level})
        assert (Way(effort=level) in ways) == takes
    for budget in BUDGETS:
        takes = _takes(facts, **own | {"thinking": {"type": "enabled", "budget_tokens": budget}})
        assert (Way(budget=budget) in ways) == takes


def _takes(facts, **asked):
    """Whether a row that asks so is a job that the model takes."""
    try:
        payload = Payload.checked(request(**asked))
        check_models(Job(row_number=0, job_id="a", payload=payload), [facts], Mode.MESSAGES)
    except InvalidPayload:
        return False
    return True


@pytest.mark.parametrize(
    ("asked", "way"),
    [
        ({}, None),
        ({"thinking": {"type": "disabled"}}, None),
        ({"thinking": ADAPTIVE}, Way()),
        ({"thinking": FREE}, Way(budget=1_024)),
        ({"output_config": {"effort": "low"}}, Way(effort="low")),
        ({"thinking": FREE, "output_config": {"effort": "low"}}, Way(effort="low")),
    ],
)
def test_a_job_asks_for_a_way_where_it_thinks_or_names_an_effort(asked, way):
    assert asked_way(routed("m", **asked).traits) == way
    ways = ThinkingWays(lambda *_: NOTHING, BUDGETS)
    ways.add(routed("claude-opus-4-6", **asked), scale_of("claude-opus-4-6"), 5)
    assert bool(ways.figures(Measuring(RunOptions("jobs.parquet")))) == (way is not None)


lengths = st.lists(st.integers(1, 30_000), max_size=12)


@given(
    st.dictionaries(st.sampled_from([*RULES.values["effort"], None, *BUDGETS]), lengths),
    st.lists(
        st.tuples(st.integers(1, 9_000), st.sampled_from([3_000, 20_000]), st.integers(1, 3)),
        min_size=1,
        max_size=5,
    ),
)
def test_a_way_costs_what_was_observed_at_it_and_nothing_is_made_up_where_nothing_was(history, jobs):
    scale = scale_of("claude-opus-4-6")
    asked = []

    def observe(key, budget):
        asked.append((key, budget))
        assert (key.model, key.payload_class) == ("claude-opus-4-6", PayloadClass.THINKING)
        return seen_at(history.get(key.effort or budget, []))

    ways = ThinkingWays(observe, BUDGETS)
    queue = [
        (routed("claude-opus-4-6", tokens, thinking=ADAPTIVE, max_tokens=most), weight)
        for tokens, most, weight in jobs
    ]
    for job, weight in queue:
        ways.add(job, scale, 7, weight)
    found = ways.figures(Measuring(RunOptions("jobs.parquet")))
    assert len(set(asked)) == len(asked)
    assert [one.effort or one.budget_tokens for one in found][:5] == [None, "low", "medium", "high", "max"]
    for one in found:
        name = one.effort or one.budget_tokens
        observed = history.get(name, [])
        could = [(job, weight) for job, weight in queue if job.max_tokens > (one.budget_tokens or 0)]
        assert one.jobs == sum(weight for _, weight in could)
        assert one.as_asked == (one.jobs if name is None else 0)
        assert to_nano(one.worst_usd) == 7 * one.jobs
        assert one.answers == len(observed)
        if not observed:
            assert (one.expected_usd, one.mean_output, one.p95_output, one.thinking_share) == (None,) * 4
            continue
        expected = 0
        for job, weight in could:
            cut = [min(length, job.max_tokens) for length in observed]
            expected += weight * scale.cost(job, -(-sum(cut) // len(cut)))
        assert to_nano(one.expected_usd) == expected
        assert one.mean_output == -(-sum(observed) // len(observed))
        assert one.p95_output in observed
        assert one.measure is None


def test_what_was_not_observed_is_measured_by_a_command_whose_cap_suffices_for_any_sample():
    scale = scale_of("claude-opus-5-5", "claude-opus-4-6")
    ways = ThinkingWays(lambda *_: NOTHING, BUDGETS)
    costs = [1_000_000_001 * n for n in range(1, MEASURED_ROWS + 4)]
    for number, cost in enumerate(costs):
        ways.add(routed("claude-opus-5-5", number=number), scale, cost)
    ways.add(routed("claude-opus-4-6", thinking=ADAPTIVE), scale, 1, weight=3)
    found = ways.figures(
        Measuring(RunOptions("my jobs.parquet", policy="p.toml", run_budget_usd="7", quote="q"))
    )
    commands = {one.effort or one.budget_tokens: one.measure for one in found}
    words = shlex.split(commands["high"])
    assert words[:3] == ["weighbridge", "run", "my jobs.parquet"]
    assert words[3:9] == ["--policy", "p.toml", "--sample", str(MEASURED_ROWS), "--effort", "high"]
    assert (words.count("--run-budget-usd"), words.count("--quote")) == (1, 0)
    cap = Decimal(words[words.index("--run-budget-usd") + 1])
    dearest = to_usd(sum(sorted(costs)[-MEASURED_ROWS:]))
    assert dearest <= cap < dearest + Decimal("0.01")
    assert "--thinking-budget 2000 " in commands[2_000]
    # measured on the rows as they are
    assert not {"--effort", "--thinking-budget"} & set(shlex.split(commands[None]))


def test_the_text_states_what_was_not_observed_and_how_it_is_measured():
    history = {"low": [100, 300], "high": [64_000, 10]}
    ways = ThinkingWays(lambda key, _: seen_at(history.get(key.effort, [])), BUDGETS)
    ways.add(routed("claude-opus-4-6", thinking=ADAPTIVE), scale_of("claude-opus-4-6"), 5_000_000_000)
    report = QuoteReport(quote_id="q", thinking=ways.figures(Measuring(RunOptions("jobs.parquet"))))
    text = as_quote_markdown(report)
    assert "| effort low | 1 | 0 | 2 | 200 | 300 | 50% |" in text
    assert "| effort medium | 1 | 0 | none |  |  |  | not observed | $5.00 |" in text
    assert "| effort high | 1 | 0 | 2, 1 cut off |" in text
    lines = measuring_lines(report.thinking)
    assert all(line in text for line in lines)
    medium = next(line for line in lines if "effort medium" in line)
    assert medium == (
        "claude-opus-4-6, thinking, effort medium: weighbridge run jobs.parquet --sample 20 --effort medium "
        "--run-budget-usd 5.00"
    )
    observed = [one for one in report.thinking if one.answers]
    assert measuring_lines(observed) == []
