"""Policies: what a TOML file may say, and the sentence that comes back when it says something else."""

import json
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import BadInput
from schemas.outcome import Scope
from schemas.policy import policy_from_toml, validated
from schemas.policy_sections import Margin
from tests.strategies import policy

ROUTE = '[[routes]]\nname = "a"\nmodel = "m"\nup_to_input_tokens = 10\n'
MINIMAL = 'name = "p"\n' + ROUTE


def test_an_amount_is_exact_whether_it_is_written_as_a_number_or_as_text():
    number = policy_from_toml(MINIMAL + "[run]\nbudget_usd = 0.1\n", "x")
    text = policy_from_toml(MINIMAL + '[run]\nbudget_usd = "0.1"\n', "x")
    assert number.run.budget_usd == text.run.budget_usd == Decimal("0.1")
    assert number.cap("run") == 100_000_000


@pytest.mark.parametrize("field", ["request.max_cost_usd", "run.budget_usd", "margin.input_percent"])
def test_money_that_has_been_a_float_is_refused(field):
    section, name = field.split(".")
    with pytest.raises(BadInput, match=f"{field}: write it as a decimal"):
        policy(**{section: {name: 0.1}})


@pytest.mark.parametrize(
    ("words", "toml"),
    [
        ("not valid TOML", "name = "),
        ("name: ", ROUTE),
        ("routes: ", 'name = "p"'),
        ("routes: ", 'name = "p"\nroutes = []'),
        ("routes.0.model: ", 'name = "p"\n[[routes]]\nname = "a"\nup_to_input_tokens = 1'),
        ("routes.0.up_to_input_tokens: ", MINIMAL.replace("10", "0")),
        ("routes.0.up_to_input_tokens: ", MINIMAL.replace("10", '"ten"')),
        ("each route must take more input tokens", MINIMAL + ROUTE.replace('"a"', '"b"')),
        ("two routes have the same name", MINIMAL + ROUTE.replace("10", "20")),
        ("routs: ", MINIMAL.replace("name", "routs = 1\nname", 1)),
        ("run.budget: ", MINIMAL + "[run]\nbudget = 1"),
        ("run.budget_usd: ", MINIMAL + "[run]\nbudget_usd = -1"),
        ("run.budget_usd: ", MINIMAL + "[run]\nbudget_usd = nan"),
        ("run.budget_usd: ", MINIMAL + "[run]\nbudget_usd = inf"),
        ("run.budget_usd: ", MINIMAL + "[run]\nbudget_usd = 0.0000000001"),
        ("run.budget_usd: ", MINIMAL + '[run]\nbudget_usd = "much"'),
        ("day.budget_usd: ", MINIMAL + "[day]\nbudget_usd = 12345678901234567890"),
        ("output.expected_share: ", MINIMAL + "[output]\nexpected_share = 1.5"),
        ("margin.input_tokens: ", MINIMAL + "[margin]\ninput_tokens = -1"),
        ("margin.cushion: ", MINIMAL + "[margin]\ncushion = 0.9"),
        ("margin.min_samples: ", MINIMAL + "[margin]\nmin_samples = 0"),
        ("jobs: the template has {a.b}; between braces", MINIMAL + "[jobs]\nprompt = '{a.b}'"),
        ("jobs: the template names no column", MINIMAL + "[jobs]\nprompt = '{{a}}'"),
        ("jobs: prompt names the column messages", MINIMAL + '[jobs]\nprompt = "messages"'),
        ("jobs: prompt names the column a", MINIMAL + '[jobs]\nid = "a"\nprompt = "a"'),
        ("jobs.id: ", MINIMAL + '[jobs]\nid = ""'),
        ("jobs.system: ", MINIMAL + '[jobs]\nsystem = ""'),
        ("jobs.model: ", MINIMAL + '[jobs]\nmodel = "no model"'),
        ("jobs.max_tokens: ", MINIMAL + "[jobs]\nmax_tokens = 0"),
        (
            "jobs.tools: a value is of a type that JSON does not have",
            MINIMAL + "[jobs]\ntools = [{ day = 2026-11-27 }]",
        ),
        ("jobs: tools: tools.0 needs an input_schema", MINIMAL + '[jobs]\ntools = [{ name = "a" }]'),
        ("jobs: tools: is not valid JSON", MINIMAL + '[jobs]\ntools = "["'),
        ("keep names text, which is a column of the results already", MINIMAL + '[results]\nkeep = ["text"]'),
        ("keep names a column twice", MINIMAL + '[results]\nkeep = ["a", "a"]'),
        ("hold: output_percentile needs a reserve_usd", MINIMAL + "[hold]\noutput_percentile = 95"),
        ("hold.output_percentile: ", MINIMAL + "[hold]\noutput_percentile = 49\nreserve_usd = 1"),
        ("hold.output_percentile: ", MINIMAL + "[hold]\noutput_percentile = 100\nreserve_usd = 1"),
        ("takes all of run.budget_usd", MINIMAL + "[run]\nbudget_usd = 5\n[hold]\nreserve_usd = 5"),
        ("takes all of day.budget_usd", MINIMAL + "[day]\nbudget_usd = 5\n[hold]\nreserve_usd = 6"),
        ("limits.tries: ", MINIMAL + "[limits]\ntries = 0"),
        ("limits.max_in_flight: ", MINIMAL + "[limits]\nmax_in_flight = 5_000"),
        ("on_unknown: ", 'on_unknown = "retry"\n' + MINIMAL),
        ("prices.0: give either rates or", MINIMAL + '[[prices]]\nmodel = "m"'),
        (
            "prices.0: give either rates or",
            MINIMAL + '[[prices]]\nmodel = "m"\ninput_usd_per_mtok = 1\ndiscount_percent = 5',
        ),
        ("prices.0: only a discount", MINIMAL + '[[prices]]\nmodel = "*"\ninput_usd_per_mtok = 1'),
        (
            "prices.0: above_input_tokens belongs",
            MINIMAL + '[[prices]]\nmodel = "m"\ndiscount_percent = 5\nabove_input_tokens = 9',
        ),
        ("prices.0.input_usd_per_mtok: ", MINIMAL + '[[prices]]\nmodel = "m"\ninput_usd_per_mtok = -1'),
        (
            "prices.0: its last day is before its first",
            MINIMAL + '[[prices]]\nmodel = "m"\ndiscount_percent = 5\nfrom = 2026-12-01\nuntil = 2026-11-01',
        ),
        (
            "two prices of m hold on the same day",
            MINIMAL + '[[prices]]\nmodel = "m"\ndiscount_percent = 5\nuntil = 2026-11-01\n' * 2,
        ),
        ("pricing.workspace_geo: ", MINIMAL + '[pricing]\nworkspace_geo = "eu"'),
        ("time_zone: unknown time zone 'Mars'", 'time_zone = "Mars"\n' + MINIMAL),
        ("time_zone: unknown time zone '../etc'", 'time_zone = "../etc"\n' + MINIMAL),
        ("time_zone: unknown time zone 'Europe'", 'time_zone = "Europe"\n' + MINIMAL),
        ("time_zone: unknown time zone", f'time_zone = "{"z" * 300}"\n' + MINIMAL),
    ],
)
def test_a_wrong_policy_is_a_sentence_that_names_the_field(words, toml):
    with pytest.raises(BadInput) as refused:
        policy_from_toml(toml, "night.toml")
    sentence = str(refused.value)
    assert words in sentence
    assert "night.toml" in sentence
    assert sentence.endswith(".")


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(BadInput, match=r"run\.budget_usd: .*; limits\.tries: "):
        policy_from_toml(MINIMAL + "[run]\nbudget_usd = -1\n[limits]\ntries = 0\n", "x")


@given(
    st.none() | st.integers(1, 10**6),
    st.none() | st.decimals(0, 10**5, places=9),
)
def test_a_runs_own_limits_replace_the_files_and_nothing_else(tokens, budget):
    before = policy(request={"max_cost_usd": "0.25"}, run={"budget_usd": 7}, day={"budget_usd": 9})
    after = before.overridden(tokens, budget)
    assert after.request.max_input_tokens == (tokens or before.request.max_input_tokens)
    assert after.run.budget_usd == (before.run.budget_usd if budget is None else budget)
    assert after.request.max_cost_usd == before.request.max_cost_usd
    assert after.model_copy(update={"request": before.request, "run": before.run}) == before


@pytest.mark.parametrize(("tokens", "budget"), [(0, None), (None, Decimal(-1)), (None, Decimal("NaN"))])
def test_a_runs_own_limits_are_checked_like_the_files(tokens, budget):
    with pytest.raises(BadInput, match="the run's options"):
        policy().overridden(tokens, budget)


def test_a_deadline_needs_a_budget_of_its_own_wherever_it_comes_from():
    with pytest.raises(BadInput, match="batch: a deadline needs a deadline_budget_usd"):
        policy_from_toml(MINIMAL + '[batch]\ndeadline = "06:30"\n', "x")
    with pytest.raises(BadInput, match="the run's options: batch: a deadline needs a deadline_budget_usd"):
        policy().overridden(None, None, "batches", deadline="06:30")
    rules = policy(batch={"deadline_budget_usd": "2.50", "max_requests": 7})
    after = rules.overridden(None, None, "batches", deadline="06:30")
    assert (after.batch.deadline, after.batch.max_requests) == (time(6, 30), 7)
    assert after.cap(Scope.DEADLINE) == 2_500_000_000
    assert policy().cap(Scope.DEADLINE) is None


def test_the_reserve_leaves_some_of_the_deadlines_budget():
    hold = {"output_percentile": 95, "reserve_usd": "2"}
    with pytest.raises(BadInput, match=r"takes all of batch\.deadline_budget_usd"):
        policy(hold=hold, batch={"deadline": "06:30", "deadline_budget_usd": "2"})


margins = st.builds(Margin, input_percent=st.decimals(0, 100, places=3), input_tokens=st.integers(0, 1_000))


@given(margins, st.integers(0, 2_000_000), st.integers(0, 10_000))
def test_the_bound_is_never_below_the_count_and_grows_with_it(margin, counted, more):
    bound = margin.bound(counted)
    assert bound >= counted + margin.input_tokens
    assert bound >= counted * (1 + margin.input_percent / 100)
    assert margin.bound(counted + more) >= bound


def test_the_worst_case_is_held_unless_the_policy_says_otherwise():
    assert (policy().hold.output_percentile, policy().hold.reserve) == (None, 0)
    hold = policy(hold={"output_percentile": 95, "reserve_usd": "0.25"}).hold
    assert (hold.output_percentile, hold.reserve) == (95, 250_000_000)


def test_a_policy_survives_the_ledgers_json():
    prices = [
        {"model": "a", "output_usd_per_mtok": "1.5", "from": "2026-11-01", "until": "2026-11-30"},
        {"model": "*", "discount_percent": "7.25", "from": "2026-12-01"},
    ]
    before = policy(run={"budget_usd": "0.123456789"}, time_zone="Europe/Berlin", prices=prices)
    assert before.overridden(1, None).prices == before.prices
    assert validated(before.model_dump(mode="json"), "the ledger") == before


def test_a_group_has_its_own_caps_or_those_of_any_group():
    text = """
name = "t"
[[routes]]
name = "r"
model = "m"
up_to_input_tokens = 5
[month]
budget_usd = "9"
[groups.ana.day]
budget_usd = "1.5"
[groups."*".month]
budget_usd = "2"
"""
    policy = policy_from_toml(text, "t")
    assert (policy.cap("month"), policy.cap("day")) == (9 * 10**9, None)
    assert (policy.cap("day", "ana"), policy.cap("month", "ana")) == (15 * 10**8, None)
    assert (policy.cap("day", "ben"), policy.cap("month", "ben")) == (None, 2 * 10**9)


def test_tools_are_written_as_tables_or_as_json_and_come_back_from_the_record():
    tools = [{"name": "find", "input_schema": {"type": "object", "maximum": 0.1}}]
    tables = "[[jobs.tools]]\nname = 'find'\ninput_schema = { type = 'object', maximum = 0.10 }\n"
    text = f"[jobs]\ntools = '{json.dumps(tools)}'\n"
    for written in (tables, text):
        read = policy_from_toml(MINIMAL + written, "x")
        assert read.jobs.request == {"tools": tools}
        assert validated(read.model_dump(mode="json"), "the record") == read


def test_the_columns_of_a_run_go_before_those_of_the_policy():
    rules = policy(jobs={"id": "ticket", "prompt": "{a}", "system": "s"})
    run = rules.overridden(None, None, id_column="id", prompt_column="body").jobs
    assert (run.id_column, run.prompt_column, run.template, run.system) == ("id", "body", None, "s")
    assert rules.overridden(None, None).jobs == rules.jobs
