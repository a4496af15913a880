"""A row of a job file, as the values of its columns.

A column's value is None, a bool, a number, a text, a list, a dict (a struct with all of its fields), or one of the
classes below; or an `Unfit` in the place of what cannot be had.
"""

from collections.abc import Mapping
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
