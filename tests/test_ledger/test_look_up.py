"""Looking things up: the same rows on both databases, in the order of time, and nothing is written."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from schemas.errors import BadInput, RunFailed
from schemas.outcome import RunOutcome
from schemas.report import JobFigures, RunReport
from services.ledger import jobs, runs
from services.ledger.look_up import answer_body, job_history, latest_runs
from tests.ledgers import parked, settle, started, succeeded, unknown
from tests.strategies import begin, job, quick_ledger, take


def test_runs_come_newest_first_with_their_rows_and_their_money(ledger, ledger_url):
    started(ledger, 3)
    held = take(ledger, [10, 20, 30]).held
    settle(ledger, succeeded(held[0], 7), unknown(held[1]))
    begin(ledger, "run-2")
    newest, first = latest_runs(ledger_url, 5)
    assert (newest.run_id, newest.jobs, newest.spent_nano_usd, newest.outcome) == ("run-2", None, None, None)
    assert (first.run_id, first.jobs, first.spent_nano_usd, first.held_nano_usd) == ("run-1", 3, 7, 50)
    assert first.simulated is True
    assert first.ended_at is None
    assert timedelta(0) <= datetime.now(UTC) - first.started_at < timedelta(minutes=1)
    assert [run.run_id for run in latest_runs(ledger_url, 1)] == ["run-2"]


@pytest.mark.parametrize("outcome", [None, *RunOutcome])
def test_a_run_of_a_sample_has_as_many_jobs_as_were_drawn(ledger, ledger_url, outcome):
    begin(ledger, "run-1")
    jobs.add(ledger, "run-1", [job(3), job(17), job(40)], [])
    if outcome is not None:
        report = RunReport(run_id="run-1", outcome=outcome, jobs=JobFigures(read=3, succeeded=3))
        runs.finish(ledger, "run-1", outcome, report.model_dump(mode="json"))
    assert latest_runs(ledger_url, 1)[0].jobs == 3


def test_the_history_of_a_job_has_its_runs_its_attempts_and_their_money(ledger, ledger_url):
    started(ledger, 2)
    held = take(ledger, [10, 20]).held
    settle(ledger, succeeded(held[0], 7), unknown(held[1]))
    begin(ledger, "run-2")
    jobs.add(ledger, "run-2", [job(0), job(4, job_id="job-1")], [])

    answered = job_history(ledger_url, "job-0")
    assert [(one.run_id, one.row_number, one.outcome) for one in answered.runs] == [
        ("run-2", 0, "succeeded"),
        ("run-1", 0, "succeeded"),
    ]
    assert [(one.state, one.actual_nano_usd) for one in answered.attempts] == [("succeeded", 7)]
    assert (answered.spent_nano_usd, answered.held_nano_usd) == (7, 0)
    assert answered.answered_by == held[0].attempt_id
    assert answer_body(ledger_url, held[0].attempt_id) == "{}"

    in_doubt = job_history(ledger_url, "job-1")
    assert [(one.state, one.held_nano_usd) for one in in_doubt.attempts] == [("unknown", 20)]
    assert (in_doubt.spent_nano_usd, in_doubt.held_nano_usd, in_doubt.answered_by) == (0, 20, None)
    assert answer_body(ledger_url, held[1].attempt_id) is None


def test_a_job_that_waits_has_its_review_and_one_that_nobody_knows_has_nothing(ledger, ledger_url):
    parked(ledger, "run-1")
    found = job_history(ledger_url, "job-0")
    assert [(one.status, one.reason) for one in found.reviews] == [("pending", "over_input_limit")]
    assert found.reviews[0].created_at.tzinfo is UTC or found.reviews[0].created_at.utcoffset() == timedelta(
        0
    )
    nothing = job_history(ledger_url, "job-9")
    assert (nothing.runs, nothing.attempts, nothing.reviews) == ((), (), ())


def test_an_index_leads_to_a_job_and_no_table_of_jobs_or_attempts_is_read_through(tmp_path, monkeypatch):
    from services.ledger import look_up, open_ledger  # noqa: PLC0415

    path = tmp_path / "ledger.db"
    open_ledger(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    for query in (look_up._JOB, look_up._ATTEMPTS, look_up._RUNS):
        plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", {"job": "a", "most": 1}).fetchall()
        scans = [row[3] for row in plan if row[3].startswith("SCAN")]
        assert [scan for scan in scans if scan.split()[1] in ("j", "a", "b")] == [], scans
    connection.close()


def test_what_is_no_ledger_is_refused_and_not_made(tmp_path):
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    empty.touch()
    with pytest.raises(BadInput, match="no tables of a ledger at"):
        latest_runs(f"sqlite:///{empty}", 1)
    with pytest.raises(RunFailed, match="cannot be read"):
        latest_runs(f"sqlite:///{tmp_path}/none.db", 1)
    (tmp_path / "text.db").write_text("no database, but a text that is long enough to be looked at" * 20)
    with pytest.raises(RunFailed, match="cannot be read"):
        job_history(f"sqlite:///{tmp_path}/text.db", "job-0")
    assert not (tmp_path / "none.db").exists()


def test_a_file_with_options_in_its_url_is_read_as_well(tmp_path):
    url = f"sqlite:///{tmp_path}/ledger.db"
    opened = quick_ledger(url)
    begin(opened)
    opened.close()
    assert [run.run_id for run in latest_runs(f"{url}?timeout=5", 1)] == ["run-1"]
