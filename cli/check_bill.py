"""`weighbridge check-bill`: the ledger compared with the provider's bill."""

import asyncio
import os
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli.options import JsonOption, LedgerOption, opened_ledger
from cli.screen import print_table, screen
from rules.compare_bill import compare, line_name
from rules.read_bill import bill_of
from schemas.bill import BillSide, Comparison, Difference, Finding, LedgerBill
from schemas.errors import BadInput
from schemas.money import usd_exact
from schemas.outcome import EXIT_CODES, RunOutcome
from services import provider_bill as reports
from services.ledger.bill import bill

_API = "api"
_HEADINGS = (
    "day",
    "model",
    "tier",
    ">tokens ledger",
    ">tokens report",
    ">USD ledger",
    ">USD report",
    ">ledger - report",
    "verdict",
)
_STYLES = {Finding.REPORT_LACKS: "red", Finding.NOT_IN_LEDGER: "yellow"}


def check_bill(
    cost_report: Annotated[
        str, typer.Option(help="api, the address of an API, or a JSON file with the reports.")
    ] = _API,
    first_day: Annotated[
        str | None,
        typer.Option("--from", help="The first UTC day; when left out, the first of the ledger or the file."),
    ] = None,
    last_day: Annotated[
        str | None, typer.Option("--to", help="The last UTC day; when left out, the last of the report.")
    ] = None,
    ledger: LedgerOption = None,
    workspace: Annotated[
        str | None, typer.Option(help="Only this workspace of the report: its id, or default.")
    ] = None,
    tolerance: Annotated[str, typer.Option(help="The largest difference to accept, in percent.")] = "0",
    save: Annotated[
        Path | None, typer.Option(help="Keep the fetched reports in this file, to compare them again.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the ledger with the provider's usage and cost reports, by UTC day, model and service tier.

    The exit code is 0 when everything matches, 4 when something does not, 2 for bad arguments, a file that cannot be
    used or a key that is not accepted, and 1 when the API does not answer. The provider asks for at most one request
    a minute.
    """
    first, last, percent = _day(first_day, "--from"), _day(last_day, "--to"), _percent(tolerance)
    if first and last and last < first:
        raise BadInput(f"--to {last} is before --from {first}. Nothing was compared.")
    ours = bill(opened_ledger(ledger))
    compared = _compared(ours, cost_report, (first, last), percent, workspace=workspace, save_to=save)
    if as_json:
        print(compared.model_dump_json(ensure_ascii=True))
    else:
        _print(compared)
    raise typer.Exit(EXIT_CODES[RunOutcome.COMPLETE if compared.matches else RunOutcome.INCOMPLETE])


def _compared(
    ours: LedgerBill,
    source: str,
    period: tuple[date | None, date | None],
    percent: Decimal,
    *,
    workspace: str | None,
    save_to: Path | None,
) -> Comparison:
    """The comparison with the reports of a source."""
    first, last = period
    if source != _API and "://" not in source:
        if save_to:
            raise BadInput("--save keeps fetched reports; these are in a file already. Nothing was compared.")
        pages = reports.read_reports(Path(source))
    else:
        first = first or ours.first_day or datetime.now(UTC).date()
        pages = asyncio.run(reports.fetch_reports(_address(source), _admin_key(), first, last))
        if save_to:
            reports.save_reports(pages, save_to)
    return compare(ours, bill_of(pages, workspace), first, last, percent)


def _address(source: str) -> str:
    if source != _API:
        return source
    return os.environ.get("ANTHROPIC_BASE_URL") or reports.ADDRESS


def _admin_key() -> str:
    key = os.environ.get("ANTHROPIC_ADMIN_KEY", "").strip()
    if not key:
        raise BadInput(
            "There is no Admin API key: set ANTHROPIC_ADMIN_KEY (sk-ant-admin...), or name a downloaded report with "
            "--cost-report FILE. Nothing was compared."
        )
    return key


def _day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput(f"{option} {text!r} is not a day; write it like 2026-11-22.") from None


def _percent(text: str) -> Decimal:
    try:
        percent = Decimal(text)
    except InvalidOperation:
        percent = Decimal(-1)
    if not (percent.is_finite() and 0 <= percent <= 100):
        raise BadInput(f"--tolerance {text!r} is not a percentage from 0 to 100; write it like 0.5.")
    return percent


def _print(compared: Comparison) -> None:
    console = screen(200)
    label = " (simulated: no real money)" if compared.simulated else ""
    console.print(
        f"\n[bold]{escape(compared.ledger)} and {escape(compared.report)}, {compared.first_day} to "
        f"{compared.last_day}{label}[/bold]\n",
        highlight=False,
        soft_wrap=True,
    )
    if compared.lines:
        styles = [_STYLES.get(line.verdict) for line in compared.lines]
        print_table(console, _HEADINGS, [_cells(line) for line in compared.lines], styles)
    for sentence in compared.sentences:
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def _cells(line: Difference) -> tuple[str, ...]:
    return (
        line.day.isoformat(),
        line_name(line),
        line.tier or "",
        _tokens(line.ledger),
        _tokens(line.report),
        usd_exact(line.ledger.usd),
        usd_exact(line.report.usd),
        usd_exact(line.difference_usd),
        line.sentence,
    )


def _tokens(figures: BillSide) -> str:
    return f"{figures.use.total_tokens:,}" if figures.use else ""
