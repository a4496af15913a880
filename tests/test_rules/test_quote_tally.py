"""What a quote sums up of caching: each policy for itself, at both ends of the share of hits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.cache_plan import prime_surplus, saving
from rules.prefix_tree import CacheTerms
from rules.prices import CacheRates
from rules.quote_tally import CachedSum, QuoteTally, ending_by_attempts
from rules.thinking_ways import ThinkingWays
from schemas.outcome import AttemptState, Mode, Outcome, Reason
from schemas.payload.prefix import PromptCut
from schemas.shared_prefix import HitRange, SharedPrefix

MODEL = "claude-sonnet-5-5"
RATES = CacheRates(Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(6))
CUT = PromptCut("system/0", "digest", 8_000)
NOTHING = CachedSum(0, 0, prefixes=0, primes=0)


def terms(low=300, high=980, mode=Mode.MESSAGES):
    return CacheTerms(mode, {MODEL: RATES}, {MODEL: HitRange(low, high)}, {MODEL: 512})


def nothing_observed(*_):
    raise AssertionError("no way to think is asked about")


@pytest.mark.parametrize(
    ("states", "parks_unknown", "ending"),
    [
        ((), True, None),
        ((AttemptState.OPEN, AttemptState.SUCCEEDED), True, (Outcome.SUCCEEDED, None)),
        ((AttemptState.UNKNOWN, AttemptState.OPEN), True, (Outcome.DEFERRED, Reason.IN_FLIGHT_ELSEWHERE)),
        ((AttemptState.UNKNOWN,), True, (Outcome.REVIEW, Reason.UNKNOWN_OUTCOME)),
        ((AttemptState.UNKNOWN,), False, None),
    ],
)
def test_an_answer_comes_before_a_flight_and_that_before_a_doubt(states, parks_unknown, ending):
    assert ending_by_attempts(states, parks_unknown=parks_unknown) == ending


def tallied(**jobs):
    """A tally with jobs of one beginning under each policy."""
    tally = QuoteTally(list(jobs), ThinkingWays(nothing_observed, ()))
    for name, number in jobs.items():
        for _ in range(number):
            tally.begins(name, MODEL, [CUT], 0.25)
    return tally


@given(st.integers(0, 40), st.integers(0, 1_000), st.integers(0, 1_000), st.sampled_from(list(Mode)))
def test_a_policy_saves_what_a_plan_of_its_jobs_saves_at_both_ends_or_nothing(jobs, low, high, mode):
    low, high = sorted((low, high))
    tally = tallied(own=jobs)
    tally.cache("own", terms(low, high, mode))
    prefix = SharedPrefix("digest", MODEL, "system/0", 2_000, max(1, jobs))
    least, most = (saving(prefix, RATES, mode, share) for share in (low, high))
    expected = NOTHING
    if jobs > 1 and least > 0:
        expected = CachedSum(least, most, prefixes=1, primes=prime_surplus(prefix, RATES, mode))
    assert tally.policies["own"].caching == expected


def test_policies_do_not_share_their_jobs():
    tally = tallied(own=20, other=1)
    for name in ("own", "other"):
        tally.cache(name, terms())
    assert tally.policies["own"].caching.prefixes == 1
    assert tally.policies["other"].caching == NOTHING


def test_what_was_not_summed_up_is_not_known_and_what_was_is_forgotten():
    tally = tallied(own=20)
    assert tally.policies["own"].caching is None
    tally.cache("own", terms())
    assert tally.policies["own"].tree.shared() == {}
