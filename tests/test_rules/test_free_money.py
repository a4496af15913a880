"""What is free under each cap: no cap is ever passed, and what does not fit says under which."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.free_money import FreeMoney
from schemas.budget import Payers, Window, WindowCap
from schemas.job import QueuedJob
from schemas.money import NanoUsd
from schemas.outcome import Outcome, Reason, Scope
from tests.strategies import weighed

DAY = Window(Scope.DAY, "2026-11-27")
OF_A = Window(Scope.DAY, "2026-11-27", "a")
CAPS = [
    WindowCap(DAY, NanoUsd(100), Reason.DAY_BUDGET),
    WindowCap(OF_A, NanoUsd(40), Reason.GROUP_BUDGET),
    WindowCap(Window(Scope.RUN, "run-1"), None, Reason.RUN_BUDGET),
]


def costs(nano, group=None, **more):
    """A job whose worst case is this many nano-USD."""
    job = QueuedJob(
        row_number=0,
        job_id="job-0",
        fingerprint="f0",
        group=group,
        pinned_model=None,
        max_tokens=100,
        own_max_input_tokens=None,
        own_max_cost=None,
        cache_ttl=None,
        model=None,
        input_tokens=None,
        method=None,
        payload_bytes=500,
    )
    return replace(weighed(job, nano), **more)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from([None, "a", "b"]), st.integers(1, 4))),
    st.integers(-10, 120),
    st.integers(-10, 60),
)
def test_whatever_fits_is_taken_no_window_is_passed_and_the_shares_are_each_groups_own(jobs, day, of_a):
    money = FreeMoney(CAPS, {DAY: day, OF_A: of_a})
    all_jobs = of_group = 0
    for nano, group, shared in jobs:
        split = Payers(group or "", {group or "": 1, "b" if group == "a" else "a": shared})
        item = costs(nano, group, split=split)
        share = split.share("a", item.hold)
        fits = all_jobs + item.hold <= day and of_group + share <= of_a
        assert (money.lacking(item) is None) == fits
        assert (money.lacking_at_first(item) is None) == (item.hold <= day and share <= of_a)
        if fits:
            money.take(item)
            all_jobs, of_group = all_jobs + item.hold, of_group + share


@pytest.mark.parametrize(
    ("item", "cap", "reason", "detail"),
    [
        (
            costs(101),
            CAPS[0],
            Reason.DAY_BUDGET,
            "worst case 0.000000101 USD, 0.000000090 USD left of the day budget of 0.000000100 USD",
        ),
        (
            costs(50, "a"),
            CAPS[1],
            Reason.GROUP_BUDGET,
            "worst case 0.000000050 USD, 0.000000000 USD left of the day budget of the group a of 0.000000040 USD",
        ),
        (
            costs(80, "a", split=Payers("a", {"a": 1, "b": 3})),
            CAPS[1],
            Reason.GROUP_BUDGET,
            (
                "worst case 0.000000023 USD (its share of 0.000000083 USD, split over 4 jobs), 0.000000000 USD left of the day "
                "budget of the group a of 0.000000040 USD"
            ),
        ),
    ],
    ids=["all jobs", "a group that is over its cap", "a share"],
)
def test_what_does_not_fit_is_deferred_with_the_cap_and_what_was_left_of_it(item, cap, reason, detail):
    money = FreeMoney(CAPS, {DAY: 90, OF_A: -5})
    assert money.lacking_at_first(item) is cap
    ending = money.deferred(item, cap)
    assert (ending.outcome, ending.reason, ending.detail) == (Outcome.DEFERRED, reason, detail)


def test_only_a_marker_that_alone_finds_no_money_is_left_out():
    money = FreeMoney(CAPS, {DAY: 100, OF_A: 40})
    plain = costs(90)
    assert money.within_reach(costs(110, unmarked=plain)) is plain
    fits = costs(95, unmarked=plain)
    money.take(costs(50))
    assert money.within_reach(fits) is fits
