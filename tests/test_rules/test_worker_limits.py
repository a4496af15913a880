"""What workers have in flight: together never more than the whole, and enough for each to go on."""

from hypothesis import given
from hypothesis import strategies as st

from rules.worker_limits import limits_of_worker
from schemas.policy_sections import RateLimits


@given(st.integers(1, 1000), st.integers(1, 64))
def test_all_workers_together_have_at_most_the_whole_in_flight_and_at_least_one_each(at_once, workers):
    limits = RateLimits(max_in_flight=at_once, messages_per_minute=90, tries=3)
    share = limits_of_worker(limits, workers)
    part = share.max_in_flight
    assert part == 1 or part * workers <= at_once < (part + 1) * workers
    assert share == limits.model_copy(update={"max_in_flight": part})
