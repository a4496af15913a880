"""Where tables are printed, and how a figure that may be missing is shown there."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from schemas.money import usd_short, usd_short_most
from schemas.words import printable

#: characters between two columns of a table
_GAP = 2
#: characters of a word that stays in one line, such as the id of an attempt; a longer one, such as a path, may not
_LONGEST_WORD = 40


def screen(width: int = 140) -> Console:
    """The terminal; or, when the output goes into a file and there is no width to fit, a page of this width."""
    return Console() if sys.stdout.isatty() else Console(width=width)


def print_table(
    console: Console,
    headings: Sequence[str],
    rows: Iterable[tuple[str, ...]],
    styles: Iterable[str | None] = (),
) -> None:
    """Print rows under headings, so that no figure and no id is cut, whatever the width.

    Text is wrapped at its blanks. Where the widest words do not fit side by side, each row is printed by itself, with
    the heading before each value.

    Args:
        console: where to.
        headings: the column of one that begins with ">" stands to the right.
        rows: as many cells as headings each.
        styles: of the rows, in their order; those that are missing have none.
    """
    shown = [tuple(printable(cell) for cell in row) for row in rows]
    columns = [
        _Column(heading.removeprefix(">"), [row[at] for row in shown], heading.startswith(">"))
        for at, heading in enumerate(headings)
    ]
    width = console.width + _GAP
    if sum(column.least_width for column in columns) > width:
        _print_blocks(console, [column.name for column in columns], shown)
        return
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    is_tight = sum(column.whole_width for column in columns) > width
    for column in columns:
        column.add_to(table, is_tight=is_tight)
    for row, style in zip_longest(shown, styles):
        table.add_row(*(escape(cell) for cell in row), style=style)
    console.print(table)
    console.print()


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table: its heading, its cells, and whether they stand to the right."""

    name: str
    cells: Sequence[str]
    is_right: bool

    @property
    def whole_width(self) -> int:
        """In characters of the terminal, the gap included: with every cell in one line."""
        return _GAP + max(cell_len(text) for text in (self.name, *self.cells))

    @property
    def least_width(self) -> int:
        """The same, where the cells are wrapped at their blanks and no word is cut that is not over-long."""
        words = [word for text in (self.name, *self.cells) for word in text.split()]
        return _GAP + max((min(cell_len(word), _LONGEST_WORD) for word in words), default=0)

    def add_to(self, table: Table, *, is_tight: bool) -> None:
        """Add the column to a table. In one that is tight, a figure or an id stays whole, and its heading gives way."""
        words_only = all(" " not in cell and cell_len(cell) <= _LONGEST_WORD for cell in self.cells)
        is_whole = is_tight and words_only
        name = self.name
        if is_whole:
            name = "\n".join(wrap(name, self.least_width - _GAP, break_long_words=False))
        side: Literal["left", "right"] = "right" if self.is_right else "left"
        table.add_column(name, justify=side, overflow="fold", no_wrap=is_whole)


def _print_blocks(console: Console, names: Sequence[str], rows: Iterable[tuple[str, ...]]) -> None:
    for first, *others in rows:
        console.print(escape(f"{names[0]}: {first}"), style="bold", highlight=False)
        pairs = [f"{name}: {cell}" for name, cell in zip(names[1:], others, strict=True) if cell]
        for line in _packed(pairs, console.width - _GAP):
            console.print(Padding(escape(line), (0, 0, 0, _GAP), expand=False), highlight=False)
        console.print()


def _packed(pairs: Iterable[str], width: int) -> Iterator[str]:
    """Lines with as many pairs each as fit side by side."""
    line = ""
    for pair in pairs:
        longer = f"{line}; {pair}" if line else pair
        if line and cell_len(longer) > width:
            yield line
            longer = pair
        line = longer
    if line:
        yield line


def shown_usd(nano: int | None, missing: str = "") -> str:
    """Nano-USD as USD for people, or a word for a missing amount."""
    return missing if nano is None else usd_short(nano)


def shown_most(nano: int | None, missing: str = "") -> str:
    """Nano-USD that are the most it can be as USD for people, or a word for a missing amount."""
    return missing if nano is None else usd_short_most(nano)


def shown_tokens(number: int | None, missing: str = "") -> str:
    """A number of tokens for people, or a word for a missing one."""
    return missing if number is None else f"{number:,}"
