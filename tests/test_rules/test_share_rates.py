"""Shares of rates: together never more than the whole, and enough for each to go on."""

from hypothesis import given
from hypothesis import strategies as st

from rules.share_rates import share_of
from schemas.policy_sections import RateLimits

SHARED = ("messages_per_minute", "input_tokens_per_minute", "output_tokens_per_minute", "count_per_minute")
rates = st.none() | st.integers(1, 10**6)


@given(st.fixed_dictionaries(dict.fromkeys(SHARED, rates)), st.integers(1, 1000), st.integers(1, 64))
def test_the_shares_of_all_workers_are_at_most_the_whole_and_at_least_one_each(given_rates, at_once, workers):
    limits = RateLimits(**given_rates, max_in_flight=at_once, tries=3)
    share = share_of(limits, workers)
    for name, whole in {**given_rates, "max_in_flight": at_once}.items():
        part = getattr(share, name)
        if whole is None:
            assert part is None
        else:
            assert part == 1 or part * workers <= whole < (part + 1) * workers
    assert (share.tries, share.request_timeout_seconds) == (3, limits.request_timeout_seconds)


def test_one_worker_has_all_of_it():
    assert share_of(RateLimits(messages_per_minute=90), 1) == RateLimits(messages_per_minute=90)
