"""The report on a terminal."""

from decimal import Decimal

from cli.show_report import print_report
from schemas.outcome import RunOutcome
from schemas.report import JobFigures, ReasonFigures, RunReport, UsdFigures

REPORT = RunReport(
    run_id="run-[red]1",
    outcome=RunOutcome.INCOMPLETE,
    jobs=JobFigures(read=3, succeeded=2, rejected=1),
    usd=UsdFigures(actual=Decimal("1.5")),
    simulated=True,
)


def test_it_has_the_jobs_the_money_and_no_markup_of_its_input(capsys):
    print_report(REPORT)
    out = capsys.readouterr().out
    assert "run-[red]1" in out
    assert "simulated" in out
    assert "$1.50" in out
    [rejected] = [line for line in out.splitlines() if line.startswith("rejected")]
    assert " 1 " in rejected


def test_parts_without_figures_are_left_out(capsys):
    print_report(REPORT)
    assert "for example" not in capsys.readouterr().out
    reason = ReasonFigures(
        outcome="rejected", reason="invalid_row", jobs=1, example_job_id="a", example_detail="[bold]no prompt"
    )
    print_report(REPORT.model_copy(update={"reasons": [reason], "error": "It [ended] early."}))
    out = capsys.readouterr().out
    assert "for example" in out
    assert "[bold]no prompt" in out
    assert "It [ended] early." in out
