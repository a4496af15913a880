"""The settings of the environment: a wrong one is a sentence, and an empty one is not set."""

import pytest

from schemas.errors import BadInput
from schemas.settings import DEFAULT_POLICY, Settings


@pytest.mark.parametrize("value", ["abc", "1", "86401", "1e9", "3.5"])
def test_a_value_that_cannot_be_is_named_with_its_variable(monkeypatch, value):
    monkeypatch.setenv("WEIGHBRIDGE_LEASE_SECONDS", value)
    with pytest.raises(
        BadInput, match=f"WEIGHBRIDGE_LEASE_SECONDS '{value}': .*; nothing was counted or sent"
    ):
        Settings()


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch):
    for name in ("POLICY", "RESULTS", "REVIEW_URL", "LEASE_SECONDS"):
        monkeypatch.setenv(f"WEIGHBRIDGE_{name}", "")
    found = Settings()
    assert (found.policy, str(found.results), found.review_url) == (DEFAULT_POLICY, "data/results", None)
    assert found.lease_seconds == 300
    assert found.model_fields_set == set()
