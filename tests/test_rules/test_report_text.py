"""The report: exactly the JSON that the command line promises."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.report_page import as_markdown
from rules.report_text import calls_line, lesson_rows, model_rows, money_rows
from schemas.outcome import EXIT_CODES, Outcome, RunOutcome
from schemas.report import (
    CallFigures,
    Drift,
    JobFigures,
    LessonFigures,
    MarginFigures,
    ModelFigures,
    ReasonFigures,
    RunReport,
    TaughtFigures,
    UsdFigures,
)
from schemas.saving_figures import DeadlineFigures

INTERFACE = {
    "run_id": None,
    "outcome": None,
    "jobs": {"read", "succeeded", "review", "deferred", "rejected", "failed", "unknown"},
    "tokens": {"estimated_input", "actual_input", "actual_output"},
    "usd": {"worst_case", "estimated", "estimated_low", "estimated_high", "actual", "all_on_largest"},
    "lessons": None,
    "taught": None,
    "drift": None,
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


def paid_report(**more):
    """A report of ten paid jobs of one model."""
    sums = ModelFigures(
        model="m",
        jobs=10,
        estimated_input=100,
        actual_input=101,
        actual_output=1,
        estimated_usd=Decimal(1),
        actual_usd=Decimal(1),
        partial=more.pop("partial", 0),
    )
    lesson = LessonFigures(
        model="m",
        payload_class="text",
        n=1_748,
        enough=True,
        input_error=None,
        output_tokens=None,
        margin=MarginFigures(percent=Decimal("1.500"), tokens=12, source="observed"),
    )
    seen = TaughtFigures(
        model="m", payload_class="text", jobs=10, n=0, over_bound=0, input_error=None, input_error_tokens=None
    )
    return RunReport(
        run_id="r",
        outcome=RunOutcome.COMPLETE,
        models=[sums],
        lessons=[lesson],
        taught=[seen],
        assumed_share=Decimal("0.25"),
        **more,
    )


def test_the_expected_cost_says_what_it_rests_on():
    money = UsdFigures(estimated=Decimal("1.2"), estimated_low=Decimal("0.9"), estimated_high=Decimal("1.7"))
    texts = [
        money_rows(report)[1][2]
        for report in (
            paid_report(usd=money),
            paid_report(assumed_jobs=10),
            paid_report(assumed_jobs=4),
        )
    ]
    assert texts == [
        "$0.900000 to $1.70; 1,748 observed answers",
        "counted input; output assumed: 25% of max_tokens",
        "counted input; output by 1,748 observed answers, and for 4 of 10 jobs assumed: 25% of max_tokens",
    ]


def test_what_was_held_is_called_the_worst_case_only_when_it_was():
    assert money_rows(paid_report())[0][0] == "held before sending"
    assert "percentile 95" in money_rows(paid_report(hold_percentile=95))[0][2]


def test_what_went_out_for_a_deadline_is_named_and_nothing_where_nothing_did():
    due = datetime(2026, 11, 28, 5, 30, tzinfo=UTC)
    figures = DeadlineFigures(due=due, jobs=3, usd=Decimal("0.25"), budget_usd=Decimal(2))
    [row] = [row for row in money_rows(paid_report(deadline=figures)) if row[0] == "at full price"]
    assert row[1] == "$0.250000"
    assert "3 jobs" in row[2]
    assert "2026-11-28 05:30 UTC" in row[2]
    assert "budget of $2.00" in row[2]
    nothing = money_rows(paid_report(deadline=figures.model_copy(update={"jobs": 0})))
    assert "at full price" not in {row[0] for row in nothing}


def test_an_error_is_shown_only_where_the_usage_says_all():
    assert model_rows(paid_report())[0][4] == "+1.00%"
    assert model_rows(paid_report(partial=3))[0][4] == "partial (3 jobs)"
    [row] = lesson_rows(paid_report())
    assert row[2] == "10, 10 partial"
    assert row[-2:] == ("1.5% or 12 tokens", "1,748 answers")


def test_drift_stands_in_the_report_where_it_is_seen():
    text = as_markdown(paid_report(drift=[Drift(model="m", payload_class="text", detail="m, text: do this")]))
    assert "**Drift: m, text: do this**" in text


def test_a_report_of_an_earlier_version_can_still_be_shown():
    old = paid_report().model_dump(mode="json")
    for key in ("lessons", "taught", "drift", "assumed_jobs", "assumed_share", "hold_percentile"):
        del old[key]
    for key in ("estimated_low", "estimated_high"):
        del old["usd"][key]
    del old["models"][0]["partial"]
    shown = RunReport.model_validate({**old, "taught": []})
    assert money_rows(shown)[1][2] == "counted input, assumed output"
    assert "expected" in as_markdown(shown)


@pytest.mark.parametrize(
    ("mode", "message", "batches", "said"),
    [
        ("messages", 0, 0, "2 free count calls, 0 paid calls, 1 retry, 3.0 seconds"),
        ("messages", 1, 0, "2 free count calls, 1 paid call, 1 retry, 3.0 seconds"),
        ("batches", 0, 1, "2 free count calls, 1 batch created, 1 retry, 3.0 seconds"),
        ("batches", 19, 2, "2 free count calls, 2 batches created, 19 paid calls, 1 retry, 3.0 seconds"),
    ],
)
def test_the_last_line_has_the_batches_on_record_and_the_calls_made_in_their_place(
    mode, message, batches, said
):
    # whoever finishes a run after its process died has created no batch itself
    calls = CallFigures(count=2, message=message, retried=1)
    report = RunReport(
        run_id="r", outcome=RunOutcome.COMPLETE, mode=mode, calls=calls, batches=batches, seconds=3
    )
    assert calls_line(report) == said
