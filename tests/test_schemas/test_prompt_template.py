"""Prompt templates: text with columns in braces, of which nothing is ever evaluated."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.prompt_template import is_template, read_template

names = st.text("abc_ 9ü-", min_size=1, max_size=8).filter(lambda name: name == name.strip())
anything = st.text("ab{}\n .!:[]ü", max_size=20)


@given(st.lists(st.tuples(anything, names), min_size=1, max_size=5), anything, st.data())
def test_a_filled_template_is_its_texts_with_the_values_as_they_are(parts, last, data):
    doubled = lambda text: text.replace("{", "{{").replace("}", "}}")  # noqa: E731
    written = "".join(f"{doubled(text)}{{{name}}}" for text, name in parts) + doubled(last)
    values = {name: data.draw(anything) for _, name in parts}
    template = read_template(written)
    assert template.filled(values) == "".join(text + values[name] for text, name in parts) + last
    assert set(template.columns) == set(values)
    assert len(template.columns) == len(values)


def test_a_value_that_looks_like_a_template_stays_as_it_is():
    assert read_template("{a} and {b}").filled({"a": "{b}", "b": "{a.__class__}"}) == "{b} and {a.__class__}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{a.__class__}", "the name of a column and nothing else"),
        ("{a[0]}", "the name of a column and nothing else"),
        ("{a!r}", "the name of a column and nothing else"),
        ("{a:>10}", "the name of a column and nothing else"),
        ("{}", "the name of a column and nothing else"),
        ("{ a }", "the name of a column and nothing else"),
        ("{a", "a single '{'"),
        ("a}", "a single '}'"),
        ("{a{b}}", "a single '{'"),
        ("{{a}}", "names no column"),
    ],
)
def test_what_asks_for_more_than_a_column_is_a_sentence(text, words):
    with pytest.raises(ValueError, match="template") as refused:
        read_template(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("body", False), ("{body}", True), ("a}", True), ("Body text", False)]
)
def test_a_brace_makes_a_template(text, expected):
    assert is_template(text) is expected
