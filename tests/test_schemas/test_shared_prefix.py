"""What is known of shared prefixes: values that compare by what they say and that nobody changes in mid-run."""

import dataclasses

import pytest

from schemas.shared_prefix import CacheMark, HitRange, PlannedPrefix, PrefixSums, SharedPrefix

PREFIX = SharedPrefix("k", "claude-haiku-5-5", "system/0", 2_000, 9)
VALUES = [
    PREFIX,
    PlannedPrefix(PREFIX, "1h", "5m", 1, 2),
    CacheMark("k", "system/0", "5m", False, 2_000),
    HitRange(300, 980),
    PrefixSums(PREFIX, True, 9, 2_000, 2_000, 16_000, 16_000, 16_000),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_equals_another_that_says_the_same_and_cannot_be_changed(value):
    same = dataclasses.replace(value)
    assert same == value
    assert len({same, value}) == 1
    for field in dataclasses.fields(value):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field.name, getattr(value, field.name))


def test_a_range_that_no_run_was_measured_for_says_so():
    assert HitRange(300, 980).runs == 0
