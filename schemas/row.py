"""A row of a job file, as the values of its columns.

A column's value is None, a bool, a number, a text, a list, a dict (a struct with all of its fields), or one of the
classes below; or an `Unfit` in the place of what cannot be had.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value that its column says is JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Entries:
    """An object whose names are the row's own, not those of a type: a name without a value is null, not left out."""

    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ParsedJson:
    """A list or an object that was JSON in the row itself, with an `Unfit` in the place of what cannot be had."""

    value: Any


@dataclass(frozen=True, slots=True)
class RowFiles:
    """Where the rows of a run stand.

    Attributes:
        names: of its files, in the order in which they are read.
        ends: for each of them, the number of the first row that is not of it any more.
    """

    names: Sequence[str]
    ends: Sequence[int]

    def of_row(self, row_number: int) -> str:
        """The name of the file that has a row."""
        return self.names[bisect_right(self.ends, row_number)]
