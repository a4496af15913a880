"""The quote on a terminal."""

from rich.markup import escape

from cli.screen import print_table, screen
from rules.quote_text import (
    CAP_HEADINGS,
    PART_HEADINGS,
    POLICY_HEADINGS,
    WAY_HEADINGS,
    cap_rows,
    measuring_lines,
    part_rows,
    policy_rows,
    quote_title,
    quoted_deadline_line,
    quoted_job_rows,
    quoted_reason_rows,
    quoted_time_line,
    sample_line,
    way_rows,
)
from schemas.quote import QuoteReport

_WORDS = ("policy", "of it", "rests on", "cap", "model", "payload", "way to think")


def print_quote(report: QuoteReport) -> None:
    """Print the quote as tables."""
    console = screen()
    console.print(f"\n[bold]{escape(quote_title(report))}[/bold]\n")
    if report.error:
        console.print(f"[red]{escape(report.error)}[/red]")
    if report.sample is not None:
        console.print(f"{escape(sample_line(report.sample))}\n", highlight=False)
    print_table(console, ("rows", ">jobs", "meaning"), quoted_job_rows(report))
    print_table(console, _figures(POLICY_HEADINGS), policy_rows(report))
    if report.models:
        print_table(console, _figures(PART_HEADINGS), part_rows(report))
    if reasons := quoted_reason_rows(report):
        print_table(console, ("rows", "why", ">jobs"), reasons)
    if report.thinking:
        print_table(console, _figures(WAY_HEADINGS), way_rows(report.thinking))
    for line in measuring_lines(report.thinking):
        console.print(escape(line), soft_wrap=True, highlight=False)
    if caps := cap_rows(report):
        print_table(console, _figures(CAP_HEADINGS), caps)
    if report.deadline is not None:
        console.print(f"{escape(quoted_deadline_line(report.deadline))}\n", soft_wrap=True, highlight=False)
    console.print(escape(quoted_time_line(report)), soft_wrap=True, highlight=False)
    console.print(
        f"[dim]each job's quote:[/dim] {escape(report.job_quotes or '')}", soft_wrap=True, highlight=False
    )
    console.print(
        f"[dim]to hold the run to it:[/dim] {escape(report.run_command or '')}",
        soft_wrap=True,
        highlight=False,
    )


def _figures(headings: tuple[str, ...]) -> list[str]:
    return [heading if heading in _WORDS else f">{heading}" for heading in headings]
