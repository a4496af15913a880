"""`weighbridge review list|show`."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import serve_review
from schemas.errors import BadInput
from schemas.ledger import REVIEW_STATUSES
from schemas.review import Filter
from schemas.settings import Settings
from services.ledger import open_ledger, reviews

_app = typer.Typer(help="Jobs that wait for a person.", no_args_is_help=True)
LedgerOption = Annotated[str | None, typer.Option(help="A SQLAlchemy URL.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    serve_review.add_to(_app)
    app.add_typer(_app, name="review")


@_app.command("list")
def list_reviews(
    status: Annotated[str, typer.Option(help=f"One of {', '.join(REVIEW_STATUSES)}, or all.")] = "pending",
    run: Annotated[str | None, typer.Option(help="Only those of this run.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs that wait for a person."""
    if status not in (*REVIEW_STATUSES, "all"):
        raise BadInput(f"There is no status {status!r}; use one of {', '.join(REVIEW_STATUSES)}, or all.")
    opened = open_ledger(ledger or Settings().ledger_url)
    rows = reviews.listed(opened, Filter(status=None if status == "all" else status, run_id=run), limit=limit)
    if as_json:
        print(json.dumps([_plain(row) for row in rows]))
        return
    if not rows:
        print(f"No job is {status} in {opened.url}." if status != "all" else f"No job waits in {opened.url}.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("id", "job", "reason", "model", "detail", "status"):
        table.add_column(heading)
    for row in rows:
        cells = (str(row.id), row.job_id, row.reason, row.model or "", row.detail, row.status)
        table.add_row(*(escape(cell) for cell in cells))
    Console().print(table)


@_app.command("show")
def show_review(
    review: Annotated[int, typer.Argument(help="The id in the list.")],
    ledger: LedgerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one job that waits: why, how heavy, how dear, and its payload."""
    opened = open_ledger(ledger or Settings().ledger_url)
    row = reviews.one(opened, review)
    if row is None:
        raise BadInput(
            f"There is no review {review} in {opened.url}; `weighbridge review list` shows those there are."
        )
    plain = _plain(row)
    if as_json:
        print(json.dumps(plain))
        return
    console = Console()
    for name, value in plain.items():
        if name != "payload" and value is not None:
            console.print(f"[dim]{name}:[/dim] {escape(str(value))}", highlight=False)
    console.print("[dim]payload:[/dim]")
    print(json.dumps(json.loads(plain["payload"]), indent=2, ensure_ascii=False))


def _plain(row: Any) -> dict[str, Any]:
    """A row as JSON values: money as decimal text, moments as ISO 8601."""
    mapping = row._mapping  # noqa: SLF001 - the public name of a Row's mapping
    return {
        name: value if value is None or isinstance(value, int | str) else _text(name, value)
        for name, value in mapping.items()
    }


def _text(name: str, value: Any) -> str:
    return f"{value:.9f}" if name.endswith("_usd") else value.isoformat()
