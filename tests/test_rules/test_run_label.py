"""How a run is named and tagged."""

import pytest

from rules.run_label import run_label, run_tags
from schemas.outcome import Mode


@pytest.mark.parametrize(
    ("jobs", "mode", "label"),
    [
        ("data/tickets.csv", "messages", "2026-11-27 tickets.csv, messages"),
        ("data/incoming/", "batches", "2026-11-27 incoming, batches"),
        ("data/incoming/2026-11-27*", "batches", "2026-11-27*, batches"),
        ("data/2026-11-26.parquet", "batches", "2026-11-27 2026-11-26.parquet, batches"),
        (None, None, "2026-11-27 approved jobs"),
        ("/", "messages", "2026-11-27 /, messages"),
    ],
)
def test_a_run_is_named_by_its_day_its_file_and_its_mode(jobs, mode, label):
    assert run_label("2026-11-27", jobs, mode) == label


def test_the_tags_say_the_mode_the_policy_and_whether_it_is_simulated():
    assert run_tags(Mode.BATCHES, "night", simulated=True) == ["batches", "policy:night", "simulated"]
    assert run_tags(Mode.MESSAGES, "night", simulated=False) == ["messages", "policy:night"]
