"""A time of day, as TOML, an option or the ledger's JSON says it; and nothing that leaves the moment open."""

import tomllib
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.policy_sections import BatchLimits


def limits(deadline):
    return BatchLimits(deadline=deadline, deadline_budget_usd="1")


@given(st.times().map(lambda at: at.replace(microsecond=0)))
def test_a_time_of_day_survives_text_toml_and_the_ledgers_json(at):
    assert limits(at.isoformat()).deadline == limits(at).deadline == at
    assert limits(tomllib.loads(f"at = {at.isoformat()}")["at"]).deadline == at
    assert BatchLimits.model_validate(limits(at).model_dump(mode="json")).deadline == at


def test_hours_and_minutes_are_enough():
    assert limits("06:30").deadline == time(6, 30)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "6",
        "24:00",
        "06:30Z",
        "06:30+01:00",
        "06:30:00.5",
        "half past six",
        "2026-11-27T06:30",
        23_400,
        6.5,
    ],
)
def test_what_leaves_the_moment_open_is_refused_with_an_example(wrong):
    with pytest.raises(ValidationError, match="such as 06:30"):
        limits(wrong)
