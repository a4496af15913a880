"""A sample is drawn by its seed, stands for every row once, and has the large rows in it."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.sample import draw_sample, whole_weights

SIZES = st.lists(st.integers(min_value=0, max_value=10_000_000), max_size=300)
NUMBERS = st.integers(min_value=1, max_value=200)
SEEDS = st.integers(min_value=0, max_value=2**31)


@given(SIZES, NUMBERS, SEEDS)
def test_a_sample_has_the_asked_number_of_rows_each_once(sizes: list[int], number: int, seed: int) -> None:
    rows = [row for stratum in draw_sample(sizes, number, seed) for row in stratum.rows]

    assert len(rows) == min(number, len(sizes))
    assert len(set(rows)) == len(rows)
    assert all(0 <= row < len(sizes) for row in rows)


@given(SIZES, NUMBERS, SEEDS)
def test_the_weights_of_a_sample_sum_to_the_rows_of_the_file(
    sizes: list[int], number: int, seed: int
) -> None:
    strata = draw_sample(sizes, number, seed)

    assert all(stratum.rows for stratum in strata)
    assert sum((stratum.weight * len(stratum.rows) for stratum in strata), Fraction(0)) == len(sizes)
    assert sum(stratum.population for stratum in strata) == len(sizes)
    whole = whole_weights(strata, seed)
    assert sum(whole.values()) == len(sizes)
    for stratum in strata:
        assert {abs(whole[row] - stratum.weight) < 1 for row in stratum.rows} == {True}


@given(SIZES, NUMBERS, SEEDS)
def test_the_same_seed_draws_the_same_rows(sizes: list[int], number: int, seed: int) -> None:
    assert draw_sample(sizes, number, seed) == draw_sample(list(sizes), number, seed)


@given(SIZES, NUMBERS, SEEDS)
def test_strata_are_apart_in_size(sizes: list[int], number: int, seed: int) -> None:
    strata = draw_sample(sizes, number, seed)

    for smaller, larger in pairwise(strata):
        assert max(sizes[row] for row in smaller.rows) <= min(sizes[row] for row in larger.rows)


def test_another_seed_draws_other_rows() -> None:
    sizes = [100] * 1_000

    assert draw_sample(sizes, 20, 1) != draw_sample(sizes, 20, 2)


def test_the_few_largest_rows_of_a_skewed_file_are_in_the_sample() -> None:
    sizes = [200] * 990 + [5_000_000] * 5 + [400] * 5

    assert {990, 991, 992, 993, 994} <= whole_weights(draw_sample(sizes, 100, 7), 7).keys()


def test_a_sample_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        draw_sample([1, 2], 0, 1)
