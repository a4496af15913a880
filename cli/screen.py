"""Where tables are printed, and how a figure that may be missing is shown there."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.money import usd_short, usd_short_most


def screen(width: int = 140) -> Console:
    """The terminal; or, when the output goes into a file and there is no width to fit, a page of this width."""
    return Console() if sys.stdout.isatty() else Console(width=width)


def print_table(console: Console, headings: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows under headings; the column of one that begins with ">" stands to the right."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in headings:
        table.add_column(heading.removeprefix(">"), justify="right" if heading.startswith(">") else "left")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console.print(table)
    console.print()


def shown_usd(nano: int | None, missing: str = "") -> str:
    """Nano-USD as USD for people, or a word for a missing amount."""
    return missing if nano is None else usd_short(nano)


def shown_most(nano: int | None, missing: str = "") -> str:
    """Nano-USD that are the most it can be as USD for people, or a word for a missing amount."""
    return missing if nano is None else usd_short_most(nano)


def shown_tokens(number: int | None, missing: str = "") -> str:
    """A number of tokens for people, or a word for a missing one."""
    return missing if number is None else f"{number:,}"
