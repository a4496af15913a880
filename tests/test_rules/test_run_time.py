"""How long a run takes under the account's limits."""

import pytest

from rules.run_time import (
    CallLoad,
    RatesPerMinute,
    batch_seconds,
    counting_seconds,
    sending_seconds,
)

DAY = 24 * 60 * 60


@pytest.mark.parametrize(
    ("load", "seconds"),
    [
        (CallLoad(requests=120, input_tokens=1, output_tokens=1), 72),
        (CallLoad(requests=1, input_tokens=5_000, output_tokens=1), 300),
        (CallLoad(requests=1, input_tokens=1, output_tokens=1_000), 120),
        (CallLoad(), 0),
    ],
)
def test_the_tightest_limit_of_a_model_decides(load, seconds):
    rates = {"m": RatesPerMinute(requests=100, input_tokens=1_000, output_tokens=500)}
    assert sending_seconds({"m": load}, rates) == seconds


def test_models_are_called_side_by_side_and_a_missing_limit_limits_nothing():
    rates = {
        "quick": RatesPerMinute(requests=600, input_tokens=None, output_tokens=None),
        "slow": RatesPerMinute(requests=60, input_tokens=None, output_tokens=None),
    }
    load = CallLoad(requests=60, input_tokens=10**12, output_tokens=10**12)
    assert sending_seconds({"quick": load, "slow": load}, rates) == 60
    assert sending_seconds({}, rates) == 0


def test_counts_and_batches():
    assert counting_seconds(1, 2_000) == 1
    assert counting_seconds(0, 2_000) == 0
    assert batch_seconds(0, 100) == 0
    assert batch_seconds(100, 100) == DAY
    assert batch_seconds(101, 100) == 2 * DAY
