"""A sample of a file's rows: drawn by a seed, and stratified by size, so that the few large rows are surely in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from random import Random

from schemas.row import Row

#: at most this many strata; each has at least ROWS_A_STRATUM rows of the sample, so that its spread can be seen
MOST_STRATA = 12
ROWS_A_STRATUM = 2


@dataclass(frozen=True, slots=True)
class Stratum:
    """Rows of about one size, and those of them that were drawn.

    Attributes:
        rows: the drawn row numbers, ascending; never none.
        population: how many rows the stratum has.
    """

    rows: tuple[int, ...]
    population: int

    @property
    def weight(self) -> Fraction:
        """For how many rows of the file each drawn row stands."""
        return Fraction(self.population, len(self.rows))


def draw_sample(sizes: Sequence[int], number: int, seed: int) -> tuple[Stratum, ...]:
    """Draw rows of a file, the same ones for the same sizes and seed.

    A stratum is the rows whose sizes have one number of binary digits, so that none is twice as large as another; where
    those are too many, the smallest are put together. Each stratum gets some rows at least, and the rest of the sample
    goes where it tells most: by rows times size (the rule of Neyman, with size for the spread).

    Args:
        sizes: of each row, in bytes; the place is the row number.
        number: rows to draw, at least 1; all rows when the file has no more.
        seed: any integer.

    Returns:
        The strata, from the smallest rows to the largest; their populations sum to the rows of the file. None of an
        empty file.

    Raises:
        ValueError: `number` is below 1.
    """
    if number < 1:
        raise ValueError("a sample has at least one row")
    if len(sizes) <= number:
        return (Stratum(tuple(range(len(sizes))), len(sizes)),) if len(sizes) else ()
    strata = _cut(sizes, max(1, min(MOST_STRATA, number // (2 * ROWS_A_STRATUM))))
    worth = [sum(sizes[row] + 1 for row in rows) for rows in strata]
    random = Random(seed)  # noqa: S311 - a sample is no secret
    shares = _shares([len(rows) for rows in strata], worth, number)
    return tuple(
        Stratum(tuple(sorted(random.sample(rows, share))), len(rows))
        for rows, share in zip(strata, shares, strict=True)
    )


def row_size(row: Row) -> int:
    """How large a row is, in characters: near enough to its payload's bytes, and had without reading the request."""
    return sum(
        len(value if isinstance(value, str) else str(value)) for value in row.values() if value is not None
    )


def whole_weights(strata: Sequence[Stratum], seed: int) -> dict[int, int]:
    """For how many rows of the file each drawn row stands, in whole rows that sum to those of the file.

    Args:
        strata: of the sample.
        seed: which rows of a stratum stand for one more than the others.
    """
    random = Random(seed)  # noqa: S311 - a sample is no secret
    weights: dict[int, int] = {}
    for stratum in strata:
        each, left = divmod(stratum.population, len(stratum.rows))
        more = set(random.sample(stratum.rows, left))
        weights |= {row: each + (row in more) for row in stratum.rows}
    return weights


def _cut(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Rows by the number of binary digits of their size, from the smallest on, in at most `most` strata."""
    classes: dict[int, list[int]] = {}
    for row, size in enumerate(sizes):
        classes.setdefault(max(0, size).bit_length(), []).append(row)
    strata = [classes[digits] for digits in sorted(classes)]
    spare = max(0, len(strata) - most)
    return [sorted(chain.from_iterable(strata[: spare + 1])), *strata[spare + 1 :]]


def _shares(populations: Sequence[int], worth: Sequence[int], number: int) -> list[int]:
    """How many rows of each stratum are drawn, none above its population, in all exactly `number`."""
    shares = [min(population, ROWS_A_STRATUM, number // len(populations)) for population in populations]
    while left := number - sum(shares):
        room = [at for at, population in enumerate(populations) if shares[at] < population]
        total = sum(worth[at] for at in room)
        # from the largest rows on, so that a rest goes to them
        for at in reversed(room):
            fair = max(1, left * worth[at] // total)
            shares[at] += min(fair, populations[at] - shares[at], number - sum(shares))
    return shares
