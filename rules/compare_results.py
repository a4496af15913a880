"""The result files of a run compared with its rows on record."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple


class RowFault(StrEnum):
    """What is wrong with a row of the result files."""

    MISSING = "has no row in the result files"
    EXTRA = "stands in the result files twice, or without having succeeded"
    COST = "has another cost in the result files"


class PublishedRow(NamedTuple):
    """A row of the result files; its cost in nano-USD."""

    row_number: int
    cost: int | None


class RecordedRow(NamedTuple):
    """A succeeded row on record.

    Attributes:
        cost: nano-USD; None when its attempt was forgotten.
        is_late: answered after its run had published its results.
    """

    row_number: int
    cost: int | None
    is_late: bool


def row_faults(
    published: Iterable[PublishedRow], recorded: Iterable[RecordedRow]
) -> Iterator[tuple[RowFault, int]]:
    """What is wrong, row by row, with its number. Both are in the order of their row numbers, as they were written."""
    rows = iter(published)
    row = next(rows, None)
    for known in recorded:
        while row is not None and row.row_number < known.row_number:
            yield RowFault.EXTRA, row.row_number
            row = next(rows, None)
        if row is None or row.row_number > known.row_number:
            if not known.is_late:
                yield RowFault.MISSING, known.row_number
            continue
        if known.cost is not None and row.cost != known.cost:
            yield RowFault.COST, row.row_number
        row = next(rows, None)
    while row is not None:
        yield RowFault.EXTRA, row.row_number
        row = next(rows, None)
