"""The report as a page: what happened first, then what to do, money, a chart, and tables that carry no markup of a row."""

import re
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rules.report_page import as_markdown, as_page, money_line
from rules.report_text import place_rows
from rules.shown_state import shown_state
from schemas.outcome import RunOutcome
from schemas.report import (
    DeferredFigures,
    JobFigures,
    ModelFigures,
    PassedCap,
    Places,
    ReasonFigures,
    RowToFix,
    RunReport,
    UsdFigures,
)
from schemas.saving_figures import CacheFigures

PLACES = Places(
    ledger="sqlite:////srv/ledger.db",
    results="/srv/results/run-1",
    report="/srv/results/run-1/report.md",
    flow_run="http://prefect/runs/flow-run/7",
    review_page="http://review",
)


def a_report(**more):
    """A report of ten jobs, of which two wait for a person."""
    sums = ModelFigures(
        model="small",
        jobs=8,
        estimated_input=100,
        actual_input=101,
        actual_output=50,
        estimated_usd=Decimal(2),
        actual_usd=Decimal(3),
    )
    money = UsdFigures(
        worst_case=Decimal(9), estimated=Decimal(2), actual=Decimal(3), all_on_largest=Decimal(12)
    )
    given = {
        "run_id": "run-1",
        "outcome": RunOutcome.COMPLETE,
        "jobs": JobFigures(read=10, succeeded=8, review=2),
        "usd": money,
        "models": [sums],
        "largest_model": "large",
        "places": PLACES,
    }
    return RunReport(**given | more)


def test_the_page_begins_with_what_happened_and_goes_on_with_what_to_do_where_to_look_money_chart_and_tables():
    report = a_report()
    page = as_page(report)
    shown = shown_state(report)
    in_order = [
        "# run-1: complete",
        f"**{shown.happened}.**",
        "- 2 jobs wait for a person",
        "[Flow run](http://prefect/runs/flow-run/7)",
        "[Review page](http://review) (2 of this run wait)",
        "`/srv/results/run-1`",
        "**Held $9.00, spent $3.00, saved $9.00 by routing",
        "](data:image/svg+xml;base64,",
        "| rows | jobs | meaning |",
    ]
    found = [page.index(part) for part in in_order]
    assert found == sorted(found)
    assert as_markdown(report).startswith(page[: found[3]])
    assert "data:image" not in as_markdown(report)
    # cut into lines, an address would lead elsewhere
    assert "http" not in page[found[-1] :]
    assert "| http" in as_markdown(report)


def test_a_run_of_which_nothing_is_left_says_so_and_one_that_failed_does_not():
    whole = JobFigures(read=1, succeeded=1)
    assert "- Nothing.\n" in as_page(a_report(jobs=whole))
    known = a_report(
        jobs=JobFigures(read=1, rejected=1), rejected_before=1, rejected_since=date(2026, 11, 20)
    )
    assert "- Nothing. Rejected rows: 1 known since 2026-11-20, and reported then.\n" in as_page(known)
    failed = as_page(a_report(outcome=RunOutcome.FAILED, error="The API key was not accepted."))
    assert "**The API key was not accepted.**" in failed
    assert "What to do next" not in failed


def test_what_did_not_save_is_not_called_saved_and_what_is_held_is_named():
    lost = CacheFigures(written_tokens=9, saved_usd=Decimal(-1))
    money = UsdFigures(actual=Decimal(3), all_on_largest=Decimal(3), held=Decimal("1.5"))
    assert money_line(a_report(cache=lost, usd=money)) == (
        "**Held $0.000000, spent $3.00, saved nothing**. Still held: $1.50."
    )


def test_a_run_that_stopped_for_money_says_that_what_it_held_passed_no_cap_unless_a_bill_did():
    need = DeferredFigures(jobs=2, unpriced=0, expected_usd="1", worst_usd="2")
    said = "at no moment were held and spent together above a cap"
    assert said in money_line(a_report(deferred_for_money=need))
    assert "worst case of what was sent, added up over the run" in as_markdown(
        a_report(deferred_for_money=need)
    )
    assert said not in money_line(a_report())
    passed = PassedCap(scope="day", period="d", group=None, cap_usd="1", settled_usd="2", over_usd="1")
    assert said not in money_line(a_report(deferred_for_money=need, caps_passed=[passed]))


def test_the_ledger_and_the_command_that_lists_its_reviews_stand_whole_on_lines_of_their_own():
    ledger = f"sqlite:////srv/{'a-long-folder/' * 9}ledger.db"
    page = as_page(a_report(places=PLACES.model_copy(update={"ledger": ledger})))
    lines = page.splitlines()
    assert ledger in lines
    assert lines[lines.index("weighbridge review list \\") + 1] == f"  --ledger {ledger}"
    assert lines.count("```") == 2
    assert "sqlite:" not in "".join(line for line in lines if line.startswith("|"))


def test_the_list_of_reviews_is_named_only_where_somebody_waits():
    for jobs, waits in (({"review": 2}, True), ({"unknown": 2}, True), ({"failed": 2}, False), ({}, False)):
        report = a_report(jobs=JobFigures(read=10, succeeded=8, **jobs))
        assert ("review list" in as_page(report)) == ("review list" in as_markdown(report)) == waits
        assert any("review list" in where for _, where in place_rows(report)) == waits


def test_links_that_are_not_known_are_left_out():
    places = PLACES.model_copy(update={"flow_run": None, "review_page": None})
    page = as_page(a_report(places=places))
    assert "[Flow run]" not in page
    assert "[Review page]" not in page
    assert "Results: `/srv/results/run-1`" in page


@given(st.text("a[]()!<>|\\`\n*", max_size=20))
def test_a_row_brings_neither_links_nor_pictures_nor_tags_nor_columns_into_the_page(text):
    row = RowToFix(row_number=1, job_id=text, outcome="rejected", detail=text)
    reason = ReasonFigures(
        outcome="rejected", reason="invalid_row", jobs=1, example_job_id=text, example_detail=text
    )
    for page in (
        as_page(a_report(rows_to_mend=[row], reasons=[reason])),
        as_markdown(a_report(rows_to_mend=[row], reasons=[reason])),
    ):
        table = page[page.index("| outcome | reason |") :].replace("<br>", "")
        unescaped = re.sub(r"\\.", "", table)
        assert "[" not in unescaped
        assert "<" not in unescaped
        columns = {line.count("|") for line in unescaped.splitlines() if line.startswith(("| 1 |", "| rej"))}
        assert columns == {5}


def test_no_line_of_a_table_is_so_long_that_the_page_is_wider_than_800_pixels():
    long = "the first message must be one of the user " * 8
    row = RowToFix(row_number=1, job_id="a", outcome="rejected", detail=long)
    page = as_page(a_report(rows_to_mend=[row], reasons=[]))
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    for line in lines:
        widest = [max(map(len, cell.split("<br>"))) for cell in line.strip("| ").split(" | ")]
        assert sum(widest) <= 90, line
