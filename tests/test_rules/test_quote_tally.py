"""What a quote sums up of caching: each policy for itself, at both ends of the share of hits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.cache_plan import prime_surplus, saving
from rules.prefix_tree import CacheTerms
from rules.prices import CacheRates
from rules.quote_tally import CachedSum, EarlierAttempts, QuoteTally, ending_by_attempts
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


OPEN, SUCCEEDED, UNKNOWN = AttemptState.OPEN, AttemptState.SUCCEEDED, AttemptState.UNKNOWN
IN_DOUBT = (Outcome.UNKNOWN, Reason.UNKNOWN_OUTCOME)
IN_FLIGHT = (Outcome.DEFERRED, Reason.IN_FLIGHT_ELSEWHERE)


@pytest.mark.parametrize(
    ("states", "weighed", "parks", "ending"),
    [
        ((), None, "both", None),
        ((OPEN, SUCCEEDED), None, "unknown", (Outcome.SUCCEEDED, None)),
        ((UNKNOWN, OPEN), None, "both", IN_FLIGHT),
        ((UNKNOWN,), None, "unknown", IN_DOUBT),
        ((UNKNOWN,), None, "cut off", None),
        ((SUCCEEDED,), None, "cut off", (Outcome.REVIEW, Reason.CUT_OFF)),
        ((SUCCEEDED, OPEN), None, "both", (Outcome.REVIEW, Reason.CUT_OFF)),
        ((SUCCEEDED, UNKNOWN), None, "both", IN_DOUBT),
        ((SUCCEEDED, UNKNOWN), None, "cut off", (Outcome.REVIEW, Reason.CUT_OFF)),
        ((OPEN,), Outcome.REVIEW, "both", None),
        ((UNKNOWN,), Outcome.REVIEW, "unknown", IN_DOUBT),
        ((SUCCEEDED, OPEN, UNKNOWN), Outcome.REJECTED, "both", None),
    ],
)
def test_what_earlier_attempts_make_of_a_job_as_it_was_weighed(states, weighed, parks, ending):
    earlier = EarlierAttempts(frozenset(states))
    found = ending_by_attempts(
        earlier, weighed, parks_unknown=parks != "cut off", parks_cut_off=parks != "unknown"
    )
    assert found == ending


def test_an_answer_that_a_batch_is_about_to_bring_is_waited_for():
    earlier = EarlierAttempts(frozenset({OPEN}), in_batch=True)
    found = ending_by_attempts(earlier, None, parks_unknown=True, parks_cut_off=True)
    assert found == (Outcome.SUCCEEDED, Reason.IN_FLIGHT_ELSEWHERE)


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
