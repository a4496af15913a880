"""How far the total of a stratified sample may lie from that of the whole file.

The total is estimated as the sum, over strata, of population times mean. Its variance is that of stratified sampling
without replacement; its degrees of freedom are Satterthwaite's, so that strata of a few rows widen the interval (source
of both: Cochran, Sampling Techniques, 3rd edition, 5.4). Amounts are whole nano-USD.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

#: of the normal distribution, two-sided 95 %
_Z = Fraction(1_960, 1_000)
#: costs are skewed, so that a sample says less of their spread than its degrees of freedom: they are divided by this
#: (ours; the test of the interval's coverage fails without it)
SKEWED = 4


@dataclass(frozen=True, slots=True)
class StratumAmounts:
    """What was found in one stratum.

    Attributes:
        population: rows of the stratum.
        amounts: of the drawn rows, in nano-USD.
    """

    population: int
    amounts: Sequence[int]


@dataclass(frozen=True, slots=True)
class SampleInterval:
    """The estimated total, one standard deviation of it, and the ends of its 95 % confidence interval. nano-USD."""

    total: int
    deviation: int
    low: int
    high: int


def sample_interval(strata: Iterable[StratumAmounts]) -> SampleInterval:
    """The estimated total of a file, by the amounts of its sample.

    Args:
        strata: every stratum; one that was taken whole adds no doubt.
    """
    total = variance = satterthwaite = Fraction(0)
    for stratum in strata:
        drawn = len(stratum.amounts)
        total += Fraction(stratum.population * sum(stratum.amounts), drawn)
        own = _variance_of_total(stratum)
        variance += own
        if drawn > 1:
            satterthwaite += own * own / (drawn - 1)
    deviation = isqrt(int(variance)) + 1 if variance else 0
    freedom = variance * variance / satterthwaite / SKEWED if satterthwaite else Fraction(1_000)
    away = int(_student(freedom) * deviation)
    middle = int(total)
    return SampleInterval(middle, deviation, max(0, middle - away), middle + away)


def _variance_of_total(stratum: StratumAmounts) -> Fraction:
    drawn, population = len(stratum.amounts), stratum.population
    if drawn == population:
        return Fraction(0)
    mean = Fraction(sum(stratum.amounts), drawn)
    if drawn == 1:
        # one row says nothing of the spread: it is taken to be as large as the amount
        return (population * mean) * (population * mean)
    squares = sum(((amount - mean) * (amount - mean) for amount in stratum.amounts), Fraction(0))
    spread = squares / (drawn - 1)
    return population * (population - drawn) * spread / drawn


def _student(freedom: Fraction) -> Fraction:
    """Student's t at 97.5 % (source: the expansion in Abramowitz and Stegun, 26.7.5)."""
    degrees, z = max(freedom, Fraction(2)), _Z
    square = z * z
    first = z * (square + 1) / 4
    second = z * (square * (5 * square + 16) + 3) / 96
    third = z * (square * (square * (3 * square + 19) + 17) - 15) / 384
    return z + first / degrees + second / (degrees * degrees) + third / (degrees * degrees * degrees)
