"""`weighbridge prune-history`: what it prints, and the figures that it refuses."""

import pytest
from sqlalchemy import update

from schemas.ledger import RunRow
from schemas.outcome import RunOutcome
from services.ledger import jobs, runs
from tests.strategies import begin, job


@pytest.fixture
def old_run(ledger):
    """A run of two rejected rows that ended in 2020."""
    begin(ledger)
    jobs.add(ledger, "run-1", [job(0), job(1, text="other")], [])
    runs.close_early(ledger, "run-1", review_unknown=True)
    with ledger.write() as connection:
        long_ago = runs.find(ledger, "run-1").started_at.replace(year=2020, day=1)
        connection.execute(update(RunRow).values(ended_at=long_ago, outcome=RunOutcome.FAILED))
    return ledger


def test_a_dry_run_counts_what_the_real_one_then_deletes(weighbridge, old_run):
    planned = weighbridge("prune-history", "--dry-run", "--json").json
    assert (planned["dry_run"], planned["attempts_before"], planned["bytes_before"]) == (True, None, None)
    assert planned["rows"]["jobs"] == 2
    done = weighbridge("prune-history", "--json").json
    assert done["rows"] == planned["rows"]
    assert not any(weighbridge("prune-history", "--json").json["rows"].values())


def test_the_table_says_what_the_rows_are_and_which_ledger_it_was(weighbridge, old_run):
    planned = weighbridge("prune-history", "--dry-run")
    assert (planned.code, planned.err) == (0, "")
    assert "would be pruned" in planned.out
    done = weighbridge("prune-history", "--attempts-older-than", 200, "--vacuum")
    assert "attempts rolled up" in done.out
    assert old_run.url in done.out
    assert "Shrunk from" in done.out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (
            ["--older-than", 30, "--attempts-older-than", 29],
            "at least as long as its answer. Nothing was pruned",
        ),
        (["--dry-run", "--vacuum"], "leave one of them out. Nothing was pruned"),
    ],
)
def test_options_that_contradict_each_other_are_bad_input(weighbridge, old_run, options, word):
    ended = weighbridge("prune-history", *options)
    assert ended.code == 2
    assert word in ended.sentence
    assert weighbridge("prune-history", "--dry-run", "--json").json["rows"]["jobs"] == 2


@pytest.mark.parametrize("option", ["--older-than", "--attempts-older-than"])
@pytest.mark.parametrize("days", ["0", "-1", "1.5", "a week", "1000000", ""])
def test_days_are_whole_and_at_least_one(weighbridge, old_run, option, days):
    ended = weighbridge("prune-history", option, days)
    assert ended.code == 2
    assert option in ended.err
