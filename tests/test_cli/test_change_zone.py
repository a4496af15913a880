"""`weighbridge time-zone`: whose days the ledger counts in, and how that is changed."""

import pytest

from tests.strategies import begin, end_early, policy


@pytest.fixture
def ended(ledger):
    """A ledger with a run of UTC that has ended."""
    begin(ledger)
    end_early(ledger, "run-1")
    return ledger


def test_without_a_zone_it_says_which_one_it_is(weighbridge, ended):
    assert f"{ended.url} counts its days in UTC." in weighbridge("time-zone").out
    assert weighbridge("time-zone", "--json").json == {"time_zone": "UTC"}


def test_a_ledger_without_runs_says_that_the_first_one_decides(weighbridge, ledger):
    shown = weighbridge("time-zone")
    assert (shown.code, shown.err) == (0, "")
    assert "the time zone of the first one" in shown.out
    assert weighbridge("time-zone", "--json").json == {"time_zone": None}


def test_a_change_is_reported_and_holds_for_the_runs_after_it(weighbridge, ended):
    changed = weighbridge("time-zone", "Asia/Tokyo", "--json").json
    assert changed == {"time_zone": "Asia/Tokyo", "before": "UTC", "recounted": 0}
    begin(ended, "run-2", rules=policy(time_zone="Asia/Tokyo"))
    end_early(ended, "run-2")
    assert "in UTC from now on (before: Asia/Tokyo)" in weighbridge("time-zone", "UTC").out


def test_an_unknown_zone_or_a_run_at_work_changes_nothing(weighbridge, ended):
    wrong = weighbridge("time-zone", "Mars/Olympus")
    assert (wrong.code, "unknown time zone 'Mars/Olympus'" in wrong.sentence) == (2, True)
    begin(ended, "run-2")
    refused = weighbridge("time-zone", "Asia/Tokyo")
    assert (refused.code, "run-2" in refused.sentence) == (2, True)
    assert weighbridge("time-zone", "--json").json == {"time_zone": "UTC"}
