"""Which jobs a run would defer under its caps: as the run itself decides, one job after the other."""

from hypothesis import given
from hypothesis import strategies as st

from rules.quoted_caps import MoneyNeed, deferred_by_caps
from schemas.budget import Window, WindowCap
from schemas.outcome import Reason, Scope

RUN = Window(Scope.RUN, "run")
RED = Window(Scope.RUN, "run", "red")


def cap(window, nano):
    return WindowCap(window=window, nano_usd=nano, reason=Reason.RUN_BUDGET)


@st.composite
def needs(draw):
    found = []
    for number in range(draw(st.integers(0, 12))):
        hold = draw(st.integers(0, 100))
        expected = draw(st.integers(0, hold))
        group = draw(st.sampled_from([None, "red"]))
        found.append(MoneyNeed(number, draw(st.integers(0, 2)), group, hold, expected))
    return found


@given(needs(), st.integers(0, 400), st.integers(0, 400), st.integers(0, 100))
def test_what_is_let_through_never_passes_a_cap(jobs, most, of_red, used):
    rows, found = deferred_by_caps(jobs, [cap(RUN, most), cap(RED, of_red)], {RUN: used})
    settled = {None: used, "red": 0}
    for job in sorted(jobs, key=lambda one: (-one.priority, one.row_number)):
        fits = settled[None] + job.hold <= most
        if job.group:
            fits = fits and settled["red"] + job.hold <= of_red
        assert fits is (job.row_number not in rows)
        if fits:
            settled[None] += job.expected
            if job.group:
                settled["red"] += job.expected
    assert sum(one.jobs for one in found) == len(rows)


@given(needs(), st.integers(0, 400), st.integers(0, 100))
def test_the_cap_that_is_named_lets_all_of_them_through(jobs, most, used):
    _, found = deferred_by_caps(jobs, [cap(RUN, most)], {RUN: used})
    for one in found:
        assert one.needed > most
        assert deferred_by_caps(jobs, [cap(RUN, one.needed)], {RUN: used}) == (set(), [])
        again, _ = deferred_by_caps(jobs, [cap(RUN, one.needed - 1)], {RUN: used})
        assert again


@given(needs())
def test_without_a_figure_nothing_is_deferred(jobs):
    assert deferred_by_caps(jobs, [cap(RUN, None)], {RUN: 10**9}) == (set(), [])
