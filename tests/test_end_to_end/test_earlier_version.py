"""A ledger that the version before has left, with a run of each kind, goes on where it was: promises 2 (nothing lost)
and 3 (nothing paid twice) hold across versions."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.ledger import open_ledger

pytestmark = pytest.mark.prefect

DATA = Path(__file__).resolve().parents[1] / "data"
ROWS = json.loads((DATA / "ledger_0006_rows.json").read_text())
#: what was in flight when its run was killed, and what was held but had not left
IN_FLIGHT = {"cut-3", "cut-4", "cut-5"}
NOT_SENT = {"cut-6", "cut-7", "cut-8"}
#: `light` was approved up to a worst case without what an unknown region may add; it waits for another look
ENDS = {"heavy": "review", "light": "review", "broken": "rejected", "lost": "unknown"} | dict.fromkeys(
    IN_FLIGHT, "unknown"
)


@pytest.fixture
def earlier(yard):
    """A yard with the ledger of the version before, opened by this one."""
    path = Path(yard.ledger.removeprefix("sqlite:///"))
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATA / "ledger_0006.sql").read_text())
    return yard


def paid(yard):
    return yard.rows("SELECT attempt_id, actual_nano_usd FROM attempts WHERE state = 'succeeded' ORDER BY 1")


def test_opening_it_keeps_every_row(earlier):
    tables = (
        "runs",
        "jobs",
        "attempts",
        "batches",
        "responses",
        "reviews",
        "review_events",
        "counts",
        "budgets",
    )
    before = {table: earlier.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
    assert all(before.values())
    open_ledger(earlier.ledger).close()
    for table, rows in before.items():
        after = earlier.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        assert [
            {name: row[name] for name in old if name in row} for old, row in zip(rows, after, strict=True)
        ] == [{name: old[name] for name in old if name in row} for old, row in zip(rows, after, strict=True)]


def test_the_next_night_over_the_same_rows_sends_what_is_left_and_pays_for_nothing_again(earlier):
    yard = earlier
    open_ledger(yard.ledger).close()
    answered = {row["attempt_id"] for row in paid(yard)}
    before = paid(yard)
    jobs, policy = yard.jobs(ROWS), yard.policy()
    with yard.simulator() as simulator:
        report = yard.run(jobs, "--policy", policy, "--resubmit-approved", code=4)
        yard.assert_accounted(report, len(ROWS))
        ended = {name: row["outcome"] for name, row in yard.jobs_of(report).items()}
        assert ended == {row["job_id"]: ENDS.get(row["job_id"], "succeeded") for row in ROWS}
        sent = yard.rows("SELECT job_id FROM attempts WHERE run_id = ?", report["run_id"])
        assert {row["job_id"] for row in sent} == NOT_SENT
        yard.assert_agreement(report, simulator.billed())
        assert [row for row in paid(yard) if row["attempt_id"] in answered] == before
        assert report["from_earlier_runs"] == len(before)
        assert len(yard.results(report)) == report["jobs"]["succeeded"]

        # the run that was killed has its end, and what may have been billed keeps its hold
        killed = yard.rows("SELECT outcome FROM runs WHERE jobs_path = 'killed.parquet'")
        assert killed == [{"outcome": "failed"}]
        held = yard.rows(
            "SELECT job_id, held_nano_usd, worst_case_nano_usd FROM attempts WHERE held_nano_usd > 0"
        )
        assert {row["job_id"] for row in held} == {"lost"} | IN_FLIGHT
        assert all(row["held_nano_usd"] == row["worst_case_nano_usd"] for row in held)
        waiting = yard.rows("SELECT job_id, status FROM reviews")
        assert {row["job_id"]: row["status"] for row in waiting} == dict.fromkeys(
            {"heavy", "light", "lost"} | IN_FLIGHT, "pending"
        )

        calls = yard.called()
        again = yard.run(jobs, "--policy", policy, code=4)
        assert (again["jobs"], yard.called()) == (report["jobs"], calls)
