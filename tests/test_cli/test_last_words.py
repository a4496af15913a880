"""The sentence that a failed command ends with."""

import inspect

import pytest
from hypothesis import given

from cli.last_words import is_expected, last_words
from schemas import errors, failures
from schemas.failures import CallFailed, Refused
from tests.strategies import texts

EXPECTED = [
    kind
    for module in (errors, failures)
    for _, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, errors.WeighbridgeError | CallFailed)
]


def test_every_failure_of_the_two_trees_is_expected():
    assert len(EXPECTED) >= 10
    for kind in EXPECTED:
        made = kind.__new__(kind)
        assert is_expected(made), kind


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), OSError(5, "x")])
def test_anything_else_is_not_expected_and_its_own_text_is_not_repeated(error):
    assert not is_expected(error)
    assert type(error).__name__ in last_words(error)
    assert "'x'" not in last_words(error)


@given(texts.filter(lambda text: len(text) > 5))
def test_what_the_api_explained_may_quote_the_payload_and_is_not_repeated(explanation):
    refused = Refused("HTTP 400 invalid_request_error", status=400, explanation=f"<{explanation}>")
    words = last_words(refused)
    assert "HTTP 400 invalid_request_error" in words
    assert f"<{explanation}>" not in words
