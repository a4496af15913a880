"""The report: exactly the JSON that the command line promises."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from schemas.outcome import EXIT_CODES, Outcome, RunOutcome
from schemas.report import JobFigures, ReasonFigures, RunReport, UsdFigures
from schemas.report_text import as_markdown, money_rows

INTERFACE = {
    "run_id": None,
    "outcome": None,
    "jobs": {"read", "succeeded", "review", "deferred", "rejected", "failed", "unknown"},
    "tokens": {"estimated_input", "actual_input", "actual_output"},
    "usd": {"worst_case", "estimated", "actual", "all_on_largest"},
    "calls": {"count", "message", "retried"},
    "seconds": None,
    "simulated": None,
}


def test_the_json_has_every_key_that_is_promised():
    report = json.loads(RunReport(run_id="r", outcome=RunOutcome.COMPLETE).model_dump_json())
    for key, inner in INTERFACE.items():
        assert key in report
        assert inner is None or inner <= set(report[key])
    assert set(report["jobs"]) == {"read", *Outcome}
    assert (report["run_id"], report["outcome"], report["seconds"], report["simulated"]) == (
        "r",
        "complete",
        0.0,
        False,
    )


@given(st.decimals(0, 10**9, places=9))
def test_money_is_a_plain_decimal_string_and_exact(amount):
    report = RunReport(
        run_id="r", outcome=RunOutcome.COMPLETE, usd=UsdFigures(actual=amount, worst_case=amount)
    )
    text = json.loads(report.model_dump_json())["usd"]["actual"]
    assert isinstance(text, str)
    assert "e" not in text.lower()
    assert Decimal(text) == amount
    assert RunReport.model_validate_json(report.model_dump_json()) == report


def test_each_outcome_of_a_run_has_an_exit_code_of_its_own():
    assert sorted(EXIT_CODES.values()) == [0, 1, 3, 4]
    assert set(EXIT_CODES) == set(RunOutcome)


def test_the_markdown_says_that_money_is_simulated_and_breaks_no_table():
    report = RunReport(
        run_id="r",
        outcome=RunOutcome.INCOMPLETE,
        jobs=JobFigures(read=1, rejected=1),
        simulated=True,
        reasons=[
            ReasonFigures(
                outcome="rejected",
                reason="invalid_row",
                jobs=1,
                example_job_id="a|b",
                example_detail="<b>\nx",
            )
        ],
    )
    text = as_markdown(report)
    assert "simulated: no real API, no real money" in text
    assert "a\\|b: &lt;b> x" in text
    assert {line.replace("\\|", "").count("|") for line in text.splitlines() if line.startswith("| rej")} == {
        4,
        5,
    }
    assert any("spent" in row[0] and "simulated" in row[2] for row in money_rows(report))
