"""`weighbridge reconcile`: the ledger beside the provider's bill."""

import asyncio
import os
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cli.options import LedgerOption
from cli.screen import screen
from rules.compare_bill import compare, line_name
from rules.read_bill import bill_of
from schemas.bill import BillSide, Comparison, Difference, Finding, LedgerBill
from schemas.errors import BadInput
from schemas.money import usd_exact
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.settings import Settings
from services import provider_bill as reports
from services.ledger import open_ledger
from services.ledger.bill import bill

_API = "api"
_STYLES = {Finding.REPORT_LACKS: "red", Finding.NOT_IN_LEDGER: "yellow"}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("reconcile")(reconcile)


def reconcile(
    cost_report: Annotated[
        str, typer.Option(help="api, an address of the API, or a JSON file of the reports.")
    ] = _API,
    first_day: Annotated[
        str | None,
        typer.Option("--from", help="The first UTC day; the ledger's or the file's first otherwise."),
    ] = None,
    last_day: Annotated[
        str | None, typer.Option("--to", help="The last UTC day; the last one there is otherwise.")
    ] = None,
    ledger: LedgerOption = None,
    workspace: Annotated[
        str | None, typer.Option(help="Only this workspace of the report: its id, or default.")
    ] = None,
    tolerance: Annotated[str, typer.Option(help="How far a figure may lie off, in percent.")] = "0",
    save: Annotated[
        Path | None, typer.Option(help="Keep what was fetched in this file, to compare it again.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Compare the ledger with the provider's usage and cost reports, by UTC day, model and service tier.

    Ends with 0 when everything matches, 4 when not, 2 on bad arguments, a file that cannot be used or a key that is
    not accepted, 1 when the API does not answer. The API wants to be asked at most once a minute.
    """
    first, last, percent = _day(first_day, "--from"), _day(last_day, "--to"), _percent(tolerance)
    if first and last and last < first:
        raise BadInput("--to lies before --from.")
    ours = bill(open_ledger(ledger or Settings().ledger_url))
    compared = _compared(ours, cost_report, (first, last), percent, workspace=workspace, save_to=save)
    if as_json:
        print(compared.model_dump_json())
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
            raise BadInput("--save keeps what was fetched; a report that is a file is kept already.")
        pages = reports.read_reports(Path(source))
    else:
        key = os.environ.get("ANTHROPIC_ADMIN_KEY", "").strip()
        if not key:
            raise BadInput(
                "There is no Admin API key: set ANTHROPIC_ADMIN_KEY (sk-ant-admin...), or name a downloaded report with "
                "--cost-report FILE. Nothing was compared."
            )
        address = source if source != _API else os.environ.get("ANTHROPIC_BASE_URL") or reports.ADDRESS
        first = first or ours.first_day or datetime.now(UTC).date()
        pages = asyncio.run(reports.fetch_reports(address, key, first, last))
        if save_to:
            reports.save_reports(pages, save_to)
    return compare(ours, bill_of(pages, workspace), first, last, percent)


def _day(text: str | None, option: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise BadInput(f"{option} is no day; write it like 2026-11-22.") from None


def _percent(text: str) -> Decimal:
    try:
        percent = Decimal(text)
    except InvalidOperation:
        percent = Decimal(-1)
    if not (percent.is_finite() and 0 <= percent <= 100):
        raise BadInput("--tolerance is a number of percent from 0 to 100, such as 0.5.")
    return percent


def _print(compared: Comparison) -> None:
    console = screen(200)
    label = " (simulated: no real money)" if compared.simulated else ""
    console.print(
        f"\n[bold]{escape(compared.ledger)} beside {escape(compared.report)}, {compared.first_day} to "
        f"{compared.last_day}{label}[/bold]\n",
        highlight=False,
        soft_wrap=True,
    )
    if compared.lines:
        console.print(_table(compared))
        console.print()
    for sentence in compared.sentences:
        console.print(escape(sentence), highlight=False, soft_wrap=True)


def _table(compared: Comparison) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("day", "model", "tier"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tokens ledger", "tokens report", "USD ledger", "USD report", "ledger - report"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict")
    for line in compared.lines:
        table.add_row(*(escape(cell) for cell in _cells(line)), style=_STYLES.get(line.verdict))
    return table


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
