"""Lessons: no observed error but an outlier is above the next bound, and no lesson is made of too little."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rules.lesson import (
    DRIFT_SAMPLES,
    OUTLIER_IN,
    SMALL_TOKENS,
    LessonKey,
    Observation,
    Outputs,
    Tally,
    Taught,
    drifted,
    learned_margin,
    lesson,
    percentiles,
)
from schemas.payload.traits import PayloadClass
from schemas.policy_sections import Margin

KIND = LessonKey("claude-haiku-5-5", PayloadClass.TEXT)
percents = st.decimals(0, 50, places=3)
rules = st.builds(
    Margin,
    input_percent=percents,
    input_tokens=st.integers(0, 500),
    min_samples=st.integers(1, 8),
    cushion=st.decimals(1, 3, places=2),
    least_percent=percents,
    least_tokens=st.integers(0, 50),
)
counts = st.integers(1, 300) | st.integers(SMALL_TOKENS - 2, 250_000)


@st.composite
def observed(draw):
    counted = draw(counts)
    billed = max(1, counted + draw(st.integers(-50, 300) | st.integers(-counted, counted * 3)))
    most = draw(st.integers(1, 5_000))
    return Observation(counted, billed, draw(st.integers(0, most)), most)


histories = st.lists(observed(), max_size=20)


def small(excess, counted=100):
    return Observation(counted, counted + excess, 10, 100)


def large(excess, counted=10_000):
    return Observation(counted, counted + excess, 10, 100)


@given(rules, histories)
@example(Margin(), [small(500)])
@example(Margin(min_samples=1), [large(30_000), large(30_000)])
def test_no_observed_error_but_one_in_a_hundred_is_above_the_bound_that_is_learned(given, seen):
    margin = learned_margin(Tally(seen), given)
    for is_small in (True, False):
        same_size = [one for one in seen if (one.counted < SMALL_TOKENS) == is_small]
        above = [one for one in same_size if one.billed > margin.bound(one.counted)]
        assert len(above) <= max(1, len(same_size) // OUTLIER_IN)


@given(rules, histories, st.integers(1, 200), st.booleans())
def test_a_single_outlier_never_widens_the_margin_by_its_own_size(given, seen, times, is_small):
    """What one bill teaches is at most what the next largest does."""
    outlier = small(100 * times) if is_small else large(10_000 * times)
    without = [one for one in seen if (one.counted < SMALL_TOKENS) == is_small]
    margin = learned_margin(Tally([*seen, outlier]), given)
    largest = max((one.billed - one.counted for one in without), default=0)
    share = max((Fraction(one.billed - one.counted, one.counted) for one in without), default=Fraction(0))
    if is_small:
        floor = Fraction(given.input_percent) * SMALL_TOKENS / 100
        assert margin.input_tokens <= ceil(max(given.input_tokens, floor, largest * Fraction(given.cushion)))
    else:
        floor = Fraction(given.input_tokens * 100, SMALL_TOKENS)
        most = max(Fraction(given.input_percent), floor, share * 100 * Fraction(given.cushion))
        assert margin.input_percent <= Decimal(ceil(most * 1_000) + 1).scaleb(-3)


def test_one_bill_of_seven_times_its_count_in_two_thousand_moves_nothing():
    seen = Tally([large(20)] * 1_999 + [large(70_000)])
    assert learned_margin(seen, Margin()).input_percent == Decimal("0.5")


@given(rules, histories, counts, st.integers(0, 10_000))
def test_the_learned_bound_is_not_below_the_count_and_grows_with_it(given, seen, counted, more):
    margin = learned_margin(Tally(seen), given)
    assert counted <= margin.bound(counted) <= margin.bound(counted + more)


@given(rules, histories, st.integers(1, 250_000))
def test_where_too_few_were_observed_the_bound_is_at_least_the_policys(given, seen, counted):
    same_size = [one for one in seen if (one.counted < SMALL_TOKENS) == (counted < SMALL_TOKENS)]
    if len(same_size) < given.min_samples:
        assert learned_margin(Tally(seen), given).bound(counted) >= given.bound(counted)


@given(rules, histories)
def test_a_policy_that_does_not_learn_keeps_its_margin(given, seen):
    fixed = given.model_copy(update={"learn": False})
    assert learned_margin(Tally(seen), fixed) == fixed
    assert learned_margin(Tally(), given) == given


def test_exact_counts_shrink_the_margin_to_the_least_and_no_further():
    seen = Tally([small(0)] * 50 + [large(-3)] * 50)
    margin = learned_margin(seen, Margin())
    assert (margin.input_percent, margin.input_tokens) == (Decimal("0.5"), 10)
    # a policy's figure below its own least is where shrinking ends
    margin = learned_margin(seen, Margin(input_percent=Decimal("0.1"), input_tokens=0))
    assert (margin.input_percent, margin.input_tokens) == (Decimal("0.1"), 0)


def test_the_relative_error_of_tiny_payloads_does_not_widen_the_margin_of_large_ones():
    """A fixed overhead of 12 tokens is 300 % of 4 tokens."""
    margin = learned_margin(Tally([small(12, counted=4)] * 50 + [large(20)] * 50), Margin())
    assert (margin.input_tokens, margin.input_percent) == (18, Decimal("0.5"))


def test_nothing_bounds_the_growth_of_the_margin():
    """Two are no outlier."""
    margin = learned_margin(Tally([large(50_000)] * 2), Margin())
    assert margin.input_percent == 750
    assert learned_margin(Tally([large(50_000)]), Margin()) == Margin()


def test_a_single_error_within_the_policys_margin_moves_nothing():
    assert learned_margin(Tally([small(20), large(300)]), Margin()) == Margin()


@given(st.lists(st.integers(-1_000, 1_000), min_size=1))
def test_percentiles_are_observed_values_that_so_many_do_not_exceed(values):
    found = percentiles(values)
    for percent, value in {5: found.p5, 50: found.p50, 95: found.p95, 99: found.p99, 100: found.most}.items():
        assert value in values
        assert sum(one <= value for one in values) * 100 >= percent * len(values)
        assert sum(one < value for one in values) * 100 < percent * len(values) or value == min(values)
    assert percentiles([]) is None


@given(histories.filter(bool), st.integers(1, 6_000), st.integers(50, 99))
def test_outputs_are_observed_under_the_cap_of_the_job(seen, cap, percent):
    answers = Outputs.of(Tally(seen))
    outputs = [min(cap, one.output) for one in seen]
    assert answers.mean(cap) == -(-sum(outputs) // len(outputs))
    assert answers.usual(percent, cap) <= answers.enough_for(percent, cap) <= cap
    # what an answer's own max_tokens cut off might have taken all of this cap
    longest = [cap if one.output == one.max_tokens else min(cap, one.output) for one in seen]
    covered = sum(one <= answers.enough_for(percent, cap) for one in longest)
    assert covered * 100 >= percent * len(longest)


def test_the_share_of_thinking_is_of_the_answers_that_tell_it():
    told = Observation(10, 10, 80, 100, 20)
    assert Tally([told, small(0)]).thinking_share == Decimal("0.250")
    assert Tally([small(0)]).thinking_share is None


def earlier(*errors):
    return lesson(KIND, Tally(small(error, counted=1_000 - 1) for error in errors), Margin(min_samples=10))


def taught(*seen, over_bound=0):
    return Taught(jobs=len(seen), over_bound=over_bound, tally=Tally(seen))


@pytest.mark.parametrize(("error", "alarm"), [(-30, True), (-5, False), (0, False), (5, False), (30, True)])
def test_a_run_whose_middle_error_left_the_earlier_lines_is_an_alarm(error, alarm):
    before = earlier(*range(-10, 11))
    run = taught(*[small(error, counted=999)] * DRIFT_SAMPLES)
    sentence = drifted(before, run)
    assert (sentence is not None) == alarm
    if alarm:
        assert "claude-haiku-5-5, text" in sentence
        assert "counts" in sentence
        assert "[margin]" in sentence
    # too few of this run, or of earlier ones, are none
    assert drifted(before, taught(*[small(error, counted=999)] * (DRIFT_SAMPLES - 1))) is None
    assert drifted(replace(before, enough=False), run) is None


def test_a_bill_above_its_bound_is_an_alarm_however_few_there_were():
    assert "1 of 2 were billed above the bound" in drifted(
        earlier(), taught(small(0), small(90), over_bound=1)
    )
    assert drifted(earlier(), taught(small(0))) is None
