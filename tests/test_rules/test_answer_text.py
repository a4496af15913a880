"""The text of an answer; what cannot be read has none."""

import json

import pytest
from hypothesis import given

from rules.answer_text import answer_text
from tests.strategies import odd_values


def test_the_text_blocks_are_joined_and_others_left_out():
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    assert answer_text(json.dumps({"content": blocks})) == "a\nb"


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '{"content": 5}', '{"content": ["a"]}'])
def test_what_cannot_be_read_has_no_text(body):
    assert answer_text(body) == ""


@given(odd_values)
def test_whatever_stands_in_an_answer_is_a_text(value):
    assert isinstance(answer_text(json.dumps({"content": value}, default=str)), str)
