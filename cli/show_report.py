"""The report on a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.screen import screen
from rules.report_text import (
    LESSON_HEADINGS,
    MODEL_HEADINGS,
    Rows,
    alarm_lines,
    calls_line,
    job_rows,
    lesson_rows,
    mend_rows,
    model_rows,
    money_rows,
    place_rows,
    reason_rows,
    title,
)
from schemas.report import RunReport


def print_report(report: RunReport) -> None:
    """Print the report as tables."""
    console = screen()
    console.print(f"\n[bold]{escape(title(report))}[/bold]\n")
    if report.error:
        console.print(f"[red]{escape(report.error)}[/red]")
    _print(console, ("rows", ">jobs", "meaning"), job_rows(report))
    if report.models:
        _print(console, _figures(MODEL_HEADINGS), model_rows(report))
    for line in alarm_lines(report):
        console.print(f"[bold red]{escape(line)}[/bold red]\n", highlight=False)
    if report.taught:
        _print(console, _figures(LESSON_HEADINGS), lesson_rows(report))
    _print(console, ("money", ">USD", "remark"), money_rows(report))
    if report.reasons:
        _print(console, ("outcome", "reason", ">jobs", "for example"), reason_rows(report))
    if report.rows_to_mend:
        _print(console, (">row", "job", "outcome", "why"), mend_rows(report))
    for what, where in place_rows(report):
        console.print(f"[dim]{what}:[/dim] {escape(where)}", soft_wrap=True, highlight=False)
    console.print(f"[dim]{calls_line(report)}[/dim]", highlight=False)


def _figures(headings: tuple[str, ...]) -> tuple[str, ...]:
    """Figures stand to the right, words to the left."""
    words = ("model", "payload", "margin used", "learned from")
    return tuple(heading if heading in words else f">{heading}" for heading in headings)


def _print(console: Console, headings: tuple[str, ...], rows: Rows) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    console.print()
