"""The text of an answer; what cannot be read, which only a person can make an answer, is its own text."""

import json

import pytest
from hypothesis import given

from rules.answer_text import answer_text, result_text, stop_reason_of
from tests.strategies import odd_values


def test_the_text_blocks_are_joined_and_others_left_out():
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]
    assert answer_text(json.dumps({"content": blocks})) == "a\nb"
    assert result_text(json.dumps({"content": blocks})) == "ab"


def test_a_result_has_a_lone_surrogate_as_a_question_mark():
    body = json.dumps({"content": [{"type": "text", "text": "\ud800!"}]})
    assert result_text(body) == "?!"
    assert result_text("\ud800 no JSON") == "? no JSON"


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '{"content": 5}', '{"content": ["a"]}'])
def test_what_cannot_be_read_is_its_own_text(body):
    assert answer_text(body) == body
    assert stop_reason_of(body) is None


def test_an_answer_without_text_has_none():
    assert answer_text(json.dumps({"content": [{"type": "tool_use", "name": "weigh"}]})) == ""


def test_the_line_of_a_batch_has_the_text_of_its_message():
    message = {"content": [{"type": "text", "text": "a"}], "stop_reason": "end_turn"}
    line = json.dumps({"custom_id": "att_1", "result": {"type": "succeeded", "message": message}})
    assert (answer_text(line), stop_reason_of(line)) == ("a", "end_turn")


@given(odd_values)
def test_whatever_stands_in_an_answer_is_a_text(value):
    assert isinstance(answer_text(json.dumps({"content": value}, default=str)), str)
