"""Draw rows: which ones of a file a sample looks at, by their sizes."""

from dataclasses import dataclass

from rules.sample import Stratum, draw_sample, row_size, whole_weights
from services.job_file import JobFile


@dataclass(frozen=True, slots=True)
class DrawnRows:
    """The sample of a file.

    Attributes:
        strata: from the smallest rows to the largest.
        weights: for how many rows of the file each drawn row stands, by row number.
        seed: which rows were drawn.
    """

    strata: tuple[Stratum, ...]
    weights: dict[int, int]
    seed: int


def draw_rows(file: JobFile, limit: int | None, number: int, seed: int) -> DrawnRows:
    """Draw a sample of the rows of a file; it is read once for their sizes, at 8 bytes a row.

    Args:
        file: the checked file.
        limit: only of its first rows, at most this many.
        number: rows to draw, at least 1.
        seed: which ones.

    Raises:
        BadInput: the file is damaged, or no longer the one that was checked.
    """
    sizes = [row_size(row) for rows in file.batches(limit) for row in rows]
    strata = draw_sample(sizes, number, seed)
    return DrawnRows(strata, whole_weights(strata, seed), seed)
