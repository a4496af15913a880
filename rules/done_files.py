"""Which job files are done with: read whole, and no row of them is left for another run or for a person to fix."""

from bisect import bisect_right
from collections.abc import Iterable

from schemas.row import RowFiles


def done_files(files: RowFiles, limit: int | None, left: Iterable[int]) -> list[str]:
    """The files that are done with, in their order.

    Args:
        files: of a run.
        limit: only this many rows of the input were read; None: all.
        left: the numbers of the rows that are not done with.
    """
    open_files = {bisect_right(files.ends, row_number) for row_number in left}
    return [
        name
        for number, (name, end) in enumerate(zip(files.names, files.ends, strict=True))
        if number not in open_files and (limit is None or end <= limit)
    ]
