"""The policy of an old run: what is still valid holds, and nothing in it stops the settling."""

from dataclasses import fields
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.policy_on_record import policy_on_record
from schemas.run import RunOnRecord
from tests.strategies import json_values, policy

NOW = datetime(2026, 11, 26, tzinfo=UTC)
VALID = policy().model_dump(mode="json")


def found(rules, **row):
    values = dict.fromkeys((one.name for one in fields(RunOnRecord)), "x") | {"started_at": NOW}
    return RunOnRecord(**values | {"run_id": "run-1", "policy": rules, "mode": "batches"} | row)


def test_a_valid_policy_is_as_it_was_written():
    assert policy_on_record(found(VALID)) == (policy(), [])


@given(st.dictionaries(st.sampled_from(sorted(VALID)) | st.text(max_size=5), json_values, max_size=6))
def test_whatever_is_wrong_a_policy_comes_out_and_what_is_wrong_is_named(wrong):
    made, dropped = policy_on_record(found(VALID | wrong))
    assert set(dropped) <= set(VALID) | set(wrong)
    for name in set(VALID) - set(dropped) - set(wrong):
        assert getattr(made, name) == getattr(policy(), name)


@pytest.mark.parametrize("parks", [True, False])
def test_what_the_row_of_the_run_says_stands_in(parks):
    made, _ = policy_on_record(found({"name": "old", "routes": 3}, parks_unknown=parks))
    assert (made.mode, made.parks_unknown) == ("batches", parks)


def test_a_rule_over_several_sections_costs_the_sections_and_keeps_the_prices():
    price = {"model": "claude-opus-5-5", "input_usd_per_mtok": "1", "output_usd_per_mtok": "2"}
    rules = VALID | {"hold": {"reserve_usd": "5"}, "day": {"budget_usd": "1"}, "prices": [price]}
    made, dropped = policy_on_record(found(rules))
    assert made.prices[0].model == "claude-opus-5-5"
    assert {"hold", "day"} <= set(dropped)
