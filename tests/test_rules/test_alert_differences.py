"""What an operator changed of an alert is named, and what is the same is not."""

import pytest

from rules.alert_differences import alert_difference, differing_alert_fields

OURS = {"enabled": True, "trigger": {"expect": ["a"]}, "actions": [{"body": "b"}], "description": "d"}


def test_what_is_the_same_differs_in_nothing():
    assert differing_alert_fields(OURS, dict(OURS)) == []


@pytest.mark.parametrize("field", OURS)
def test_each_field_is_named(field):
    assert differing_alert_fields(OURS, OURS | {field: None}) == [field]


def test_a_difference_is_one_sentence():
    assert alert_difference("weighbridge: drift", ["enabled", "actions"]) == (
        "weighbridge: drift: whether it is on and what it sends and where to differs on the server."
    )
