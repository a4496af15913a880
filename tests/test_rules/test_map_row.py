"""Rows of anybody's file: what becomes of their columns, of a template, and of what is kept."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.map_row import KEPT, MAX_KEPT_CHARACTERS, mapped_row
from rules.models import Models
from rules.read_row import checked_job
from schemas.payload.exact_json import Unfit
from schemas.payload.invalid import InvalidPayload
from schemas.policy_sections import JobColumns
from schemas.row import ParsedJson
from tests.strategies import policy, texts


def mapped(found, keep=(), extra=(), **columns):
    return mapped_row(found, JobColumns(**columns), keep, {*extra, *keep})


def job_of(found, **columns):
    """The job of a row under a policy with these columns."""
    rules = policy(jobs={"model": "claude-haiku-5-5"} | columns)
    return checked_job(0, mapped_row(found, rules.jobs, (), ()), rules, Models(rules, ()))


def test_columns_are_read_under_the_names_that_the_policy_gives():
    found = {"ticket": 7, "body": "x", "group": "g", "job_id": "old", "prompt": "old"}
    extra = ("ticket", "body", "job_id", "prompt")
    assert mapped(found, extra=extra, id="ticket", prompt="body") == {
        "job_id": 7,
        "prompt": "x",
        "group": "g",
    }


def test_a_row_of_a_job_file_stays_as_it_is():
    found = {"job_id": "a", "prompt": "x", "tools": None}
    assert mapped(found) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{b}", "{b}"),
        (7, "7"),
        (True, "true"),
        (0.5, "0.5"),
        (Decimal("1.50"), "1.50"),
        (None, ""),
        (math.nan, ""),
    ],
)
def test_a_value_is_put_into_the_template_as_it_is_written(value, text):
    assert mapped({"a": value, "b": "y"}, prompt="{a}|{b}")["prompt"] == f"{text}|y"


@pytest.mark.parametrize("value", [b"\xff", [1], {"x": 1}, ParsedJson([1]), "\ud800", Unfit("is bad")])
def test_a_value_that_is_no_text_spoils_its_row_under_its_own_name(value):
    row = mapped({"a": value, "b": "y"}, extra="ab", prompt="{a}|{b}")
    assert isinstance(row["a"], Unfit)
    assert "prompt" not in row
    assert isinstance(mapped({"a": value}, keep="a")["a"], Unfit)


def test_a_row_without_a_value_for_any_column_of_the_template_has_no_prompt():
    row = mapped({"job_id": "1", "a": None, "b": " "}, extra="ab", prompt="Summarise: {a}{b}")
    assert "every column that the template names is empty" in row["prompt"].reason


def test_a_row_with_messages_of_its_own_keeps_them():
    row = mapped({"messages": "[]", "a": "x", "prompt": "y"}, extra="a", prompt="Summarise: {a}")
    assert row == {"messages": "[]"}


def test_a_template_may_be_made_of_the_column_prompt():
    assert mapped({"prompt": "x"}, prompt="Translate: {prompt}") == {"prompt": "Translate: x"}


@given(st.dictionaries(st.sampled_from("abc"), texts | st.none() | st.integers()))
def test_what_is_kept_is_the_text_of_each_column_there_or_not(found):
    expected = {name: None if found.get(name) is None else str(found[name]) for name in "abc"}
    assert mapped(found, keep="abc") == {KEPT: expected}


def test_a_kept_value_that_is_too_long_is_refused_with_what_to_do():
    assert mapped({"a": "x" * MAX_KEPT_CHARACTERS}, keep="a")[KEPT]
    row = mapped({"a": "x" * (MAX_KEPT_CHARACTERS + 1)}, keep="a")
    assert "join the results with your file by job_id" in row["a"].reason


# --- what holds for all rows --------------------------------------------------------------------------------------

TOOLS = [{"name": "find", "input_schema": {"type": "object"}}]
FOR_ALL = {"system": "s", "tools": TOOLS, "max_tokens": 9, "model": "claude-sonnet-5-5"}


def test_what_a_row_does_not_say_the_policy_says():
    job = job_of({"job_id": "1", "prompt": "x", "system": None}, **FOR_ALL)
    assert job.model == "claude-sonnet-5-5"
    assert job.payload.request == {
        "messages": [{"role": "user", "content": "x"}],
        "system": "s",
        "tools": TOOLS,
        "max_tokens": 9,
    }


@pytest.mark.parametrize("params", [False, True], ids=["in a column", "in params"])
def test_what_a_row_says_wins(params):
    own = {"system": "mine", "tools": [], "max_tokens": 3}
    row = {"job_id": "1", "prompt": "x", "model": "claude-opus-5-5"}
    job = job_of(row | ({"params": ParsedJson(own)} if params else own), **FOR_ALL)
    assert job.model == "claude-opus-5-5"
    assert job.payload.request == {"messages": [{"role": "user", "content": "x"}], **own}


def test_the_fingerprint_is_that_of_the_request_that_results():
    plain = job_of({"job_id": "1", "prompt": "Summarise: x", "system": "s"})
    assert job_of({"job_id": "1", "b": "x"}, prompt="Summarise: {b}", system="s") == plain
    assert job_of({"job_id": "1", "b": "x"}, prompt="Sum up: {b}", system="s") != plain


def test_a_refusal_names_the_column_as_it_is_called_in_the_file():
    with pytest.raises(InvalidPayload) as refused:
        job_of({"ticket": None, "body": "x"}, id="ticket", prompt="body")
    assert refused.value.column == "job_id (column ticket)"
