"""`weighbridge report [RUN]`."""

import pytest

from schemas.outcome import RunOutcome
from schemas.report import RunReport
from services.ledger import runs
from tests.strategies import begin, end_early


@pytest.fixture
def two_runs(ledger):
    """A run with a report, and a later one that has not ended."""
    begin(ledger, "run-1")
    report = RunReport(run_id="run-1", outcome=RunOutcome.COMPLETE, simulated=True)
    runs.finish(ledger, "run-1", RunOutcome.COMPLETE, report.model_dump(mode="json"))
    return ledger


def test_the_latest_report_is_shown_as_tables_or_as_json(weighbridge, two_runs):
    shown = weighbridge("report")
    assert (shown.code, shown.err) == (0, "")
    assert "run-1" in shown.out
    assert weighbridge("report", "run-1", "--json").json["run_id"] == "run-1"


def test_a_run_that_has_not_ended_or_ended_early_has_no_report(weighbridge, two_runs):
    begin(two_runs, "run-2")
    ended = weighbridge("report")
    assert ended.code == 2
    assert "Run run-2 has not ended yet" in ended.sentence
    end_early(two_runs, "run-2")
    assert "ended early and has no report" in weighbridge("report", "run-2").sentence


def test_a_run_that_is_not_on_record_is_bad_input(weighbridge, two_runs):
    ended = weighbridge("report", "run-nowhere")
    assert ended.code == 2
    assert "has no run run-nowhere; `weighbridge runs` lists those there are." in ended.sentence


def test_a_ledger_without_runs_says_so(weighbridge, ledger):
    ended = weighbridge("report")
    assert ended.code == 2
    assert "has no runs yet." in ended.sentence
