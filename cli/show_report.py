"""The report on a terminal."""

from rich.console import Console
from rich.markup import escape

from cli.screen import print_table, screen
from rules.holds_to_book import hold_heading, hold_lines
from rules.projection_text import projection_line
from rules.report_text import (
    LESSON_HEADINGS,
    MODEL_HEADINGS,
    NOTHING_HEADINGS,
    alarm_lines,
    calls_line,
    job_rows,
    lesson_rows,
    model_rows,
    money_rows,
    nothing_rows,
    place_rows,
    reason_rows,
    rows_to_fix,
    sample_line,
    title,
)
from schemas.report import RunReport
from schemas.words import printable


def print_report(report: RunReport) -> None:
    """Print the report as tables."""
    console = screen()
    console.print(f"\n[bold]{escape(title(report))}[/bold]\n")
    if report.error:
        console.print(f"[red]{escape(report.error)}[/red]")
    if sampled := sample_line(report):
        console.print(f"{escape(sampled)}\n", highlight=False)
    print_table(console, ("rows", ">jobs", "meaning"), job_rows(report))
    if report.models:
        print_table(console, _figures(MODEL_HEADINGS), model_rows(report))
    for line in alarm_lines(report):
        console.print(f"[bold red]{escape(line)}[/bold red]\n", highlight=False)
    if report.taught:
        print_table(console, _figures(LESSON_HEADINGS), lesson_rows(report))
    print_table(console, ("money", ">USD", "remark"), money_rows(report))
    _print_projections(console, report)
    if report.bought_nothing:
        print_table(console, _figures(NOTHING_HEADINGS), nothing_rows(report))
    if report.reasons:
        print_table(console, ("outcome", "reason", ">jobs", "for example"), reason_rows(report))
    if report.rows_to_mend:
        print_table(console, (">row", "job", "outcome", "why"), rows_to_fix(report))
    _print_holds(console, report)
    for what, where in place_rows(report):
        console.print(f"[dim]{what}:[/dim] {escape(where)}", soft_wrap=True, highlight=False)
    console.print(f"[dim]{calls_line(report)}[/dim]", highlight=False)


def _print_holds(console: Console, report: RunReport) -> None:
    if not report.holds_to_book:
        return
    console.print(escape(hold_heading(report).replace("`", "")), highlight=False)
    for what, command in hold_lines(report):
        console.print(f"  {escape(printable(what))}:", soft_wrap=True, highlight=False)
        console.print(f"    {escape(command)}", soft_wrap=True, highlight=False)
    console.print()


def _print_projections(console: Console, report: RunReport) -> None:
    for found in report.month_projections:
        console.print(f"{escape(projection_line(found))}\n", highlight=False)


def _figures(headings: tuple[str, ...]) -> tuple[str, ...]:
    """Figures stand to the right, words to the left."""
    words = ("model", "payload", "margin used", "learned from", "bought nothing", "meaning")
    return tuple(heading if heading in words else f">{heading}" for heading in headings)
