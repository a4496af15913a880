"""The interval of a sample holds the total of the file as often as it says, also where a few rows cost the most."""

from math import exp
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.sample import draw_sample
from rules.sample_range import StratumAmounts, sample_interval

#: files of each kind, and how many of their intervals must hold the total: 95 % less three standard errors
FILES = 200
HELD = 0.95 - 3 * (0.95 * 0.05 / FILES) ** 0.5


def interval_of(sizes, amounts, number, seed):
    strata = draw_sample(sizes, number, seed)
    return sample_interval(
        StratumAmounts(one.population, [amounts[row] for row in one.rows]) for one in strata
    )


def lognormal(random, rows):
    """Sizes over three orders of magnitude; cost follows size, with noise and an answer of its own."""
    sizes = [int(exp(random.gauss(7, 1.5))) + 1 for _ in range(rows)]
    return sizes, [size * 300 + int(random.expovariate(1 / 400_000)) for size in sizes]


def two_kinds(random, rows):
    """One row in fifty is a hundred times as large."""
    sizes = [
        random.randint(80_000, 120_000) if random.random() < 0.02 else random.randint(500, 1_500)
        for _ in range(rows)
    ]
    return sizes, [size * 1_000 + random.randint(0, 2_000_000) for size in sizes]


def routed(random, rows):
    """Rows over a size go to a model ten times as dear, and one in five costs nothing."""
    sizes = [int(exp(random.gauss(8, 1))) + 1 for _ in range(rows)]
    return sizes, [
        0 if random.random() < 0.2 else size * (10_000 if size > 6_000 else 1_000) for size in sizes
    ]


@pytest.mark.parametrize("population", [lognormal, two_kinds, routed])
@pytest.mark.parametrize("number", [60, pytest.param(150, marks=pytest.mark.slow)])
def test_it_holds_the_total_as_often_as_it_says(population, number):
    random = Random(7)
    held = 0
    for seed in range(FILES):
        sizes, amounts = population(random, 1_000)
        found = interval_of(sizes, amounts, number, seed)
        held += found.low <= sum(amounts) <= found.high

    assert held / FILES >= HELD


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40), st.integers(0, 1_000))
def test_a_file_that_was_looked_at_whole_leaves_no_doubt(amounts, seed):
    found = interval_of([1] * len(amounts), amounts, len(amounts), seed)

    assert (found.low, found.total, found.high, found.deviation) == (sum(amounts),) * 3 + (0,)


def test_a_larger_sample_narrows_it():
    sizes, amounts = lognormal(Random(3), 2_000)
    few, many = (interval_of(sizes, amounts, number, 1) for number in (60, 600))

    assert many.high - many.low < few.high - few.low
