"""A wrong value is refused with a sentence, and a line end is no part of a value."""

import pytest

from schemas.errors import BadInput
from schemas.forms.flow_forms import NightlyForm


def test_a_line_end_that_a_text_box_added_is_dropped():
    asked = NightlyForm.checked({"jobs": "a.csv\n", "deadline": "06:30\n", "prompt_column": "{a}\n"})
    assert (asked["jobs"], asked["deadline"], asked["prompt_column"]) == ("a.csv", "06:30", "{a}\n")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "The parameter jobs is missing."),
        ({"limit": 0}, "The parameter limit 0 should be greater than or equal to 1."),
        ({"limit": "5"}, "The parameter limit '5' should be a valid integer."),
        ({"run_budget_usd": "12,50"}, "The parameter run_budget_usd '12,50' should be written like 12.50."),
        ({"mode": "fast"}, "The parameter mode 'fast' should be 'messages' or 'batches'."),
        ({"jobs": ""}, "The parameter jobs '' should have at least 1 character."),
        ({"limits": 5}, "There is no parameter limits."),
        (
            {"limits": 0, "mode": "x"},
            "The parameter mode 'x' should be 'messages' or 'batches'. There is no parameter limits.",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_a_sentence(given, sentence):
    parameters = ({"jobs": "a.csv"} if given else {}) | given
    with pytest.raises(BadInput) as refused:
        NightlyForm.checked(parameters)
    assert str(refused.value) == f"{sentence} Nothing was counted or sent."


@pytest.mark.parametrize("name", ["ledger", "base_url", "prompt_column"])
def test_what_may_be_a_secret_is_not_repeated(name):
    with pytest.raises(BadInput) as refused:
        NightlyForm.checked({"jobs": "a.csv", name: ["secret"]})
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
