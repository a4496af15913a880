"""Which caps to raise, and to what: what is named lets all through, by the arithmetic of the quote."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.quoted_caps import MoneyNeed, deferred_by_caps
from rules.raise_caps import DeferredSum, deferred_figures, fits, need_sentence
from schemas.budget import CapSource, Window, WindowCap
from schemas.forms.flow_forms import NightlyForm
from schemas.money import to_nano
from schemas.outcome import Reason, Scope
from schemas.run import RunOptions
from tests.strategies import policy

DAY = Window(Scope.DAY, "2026-11-27")
RED = Window(Scope.DAY, "2026-11-27", "red")
NANO = 10**9


def cap(window, nano, reserve=0):
    return WindowCap(window=window, nano_usd=nano, reason=Reason.DAY_BUDGET, reserve=reserve)


def of(needs, group=""):
    """The sum of what jobs of a group need."""
    return DeferredSum(
        group=group,
        reason="day_budget",
        jobs=len(needs),
        unpriced=0,
        expected=sum(need.expected for need in needs),
        worst_case=sum(need.hold for need in needs),
        widest=max(need.hold - need.expected for need in needs),
    )


@st.composite
def needs(draw):
    found = []
    for number in range(draw(st.integers(1, 12))):
        hold = draw(st.integers(0, 10**6))
        found.append(
            MoneyNeed(
                number,
                draw(st.integers(0, 2)),
                draw(st.sampled_from([None, "red"])),
                hold,
                draw(st.integers(0, hold)),
            )
        )
    return found


@given(needs(), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 1000))
def test_under_the_caps_that_are_named_no_job_is_deferred(jobs, most, of_red, used, reserve):
    caps = [cap(DAY, most, reserve), cap(RED, of_red, reserve)]
    groups = [[job for job in jobs if (job.group or "") == group] for group in ("", "red")]
    sums = [of(group, group[0].group or "") for group in groups if group]
    figures = deferred_figures(sums, caps, {DAY: used}, policy(groups={"red": {}}))
    assert figures is not None
    raised = {one.setting: to_nano(one.needed_usd) for one in figures.caps}
    after = [
        cap(DAY, raised.get("day.budget_usd", most), reserve),
        cap(RED, raised.get("groups.red.day.budget_usd", of_red), reserve),
    ]
    assert deferred_by_caps(jobs, after, {DAY: used}) == (set(), [])
    for one in figures.caps:
        assert one.cap_usd < one.needed_usd <= one.enough_usd


def test_without_a_deferred_job_there_is_nothing_to_say():
    assert deferred_figures([], [cap(DAY, 1)], {}, policy()) is None


def one_sum(**more):
    values = {"group": "", "reason": "day_budget", "jobs": 3, "unpriced": 0}
    amounts = {"expected": NANO // 4, "worst_case": NANO, "widest": NANO // 2}
    return DeferredSum(**values | amounts | more)


def test_the_sentence_names_what_is_needed_and_the_cap():
    figures = deferred_figures([one_sum()], [cap(DAY, NANO), cap(RED, 1)], {DAY: NANO}, policy())
    assert need_sentence(figures) == (
        "they need 0.25 USD expected and 1 USD at most; raise day.budget_usd in the policy from 1 USD to 1.75 USD (with 2 "
        "USD in any case), then run again"
    )


def test_where_the_caps_leave_room_nothing_is_to_be_raised():
    figures = deferred_figures([one_sum()], [cap(DAY, NANO), cap(RED, None)], {}, policy())
    assert need_sentence(figures).endswith("1 USD at most, which the caps leave room for: run again")


def test_a_job_without_a_price_is_not_taken_for_free():
    figures = deferred_figures([one_sum(unpriced=1)], [], {}, policy())
    assert need_sentence(figures).startswith("2 of them have a price: they need 0.25 USD")
    none = deferred_figures([one_sum(unpriced=3, expected=0, worst_case=0, widest=0)], [], {}, policy())
    assert need_sentence(none).startswith("they were not priced yet")


def test_the_cap_of_a_deadline_is_only_about_the_jobs_that_it_deferred():
    due = cap(Window(Scope.DEADLINE, "2026-11-27T05:30:00Z"), 1)
    assert deferred_figures([one_sum()], [due], {}, policy()).caps == []
    [raised] = deferred_figures([one_sum(reason="deadline_budget")], [due], {}, policy()).caps
    assert (raised.setting, raised.needed_usd) == ("batch.deadline_budget_usd", Decimal("0.75"))


def test_a_cap_of_every_group_is_named_as_the_policy_has_it():
    red = deferred_figures([one_sum(group="red")], [cap(RED, 1)], {}, policy(groups={"*": {}}))
    assert [one.setting for one in red.caps] == ["groups.*.day.budget_usd"]


OF_RUN = Window(Scope.RUN, "the next run")
TITLE = NightlyForm.fields_shown()["run_budget_usd"]["title"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "raise run.budget_usd in the policy from "),
        ({"run_budget_usd": "1"}, "raise --run-budget-usd from "),
        (
            {"run_budget_usd": "1", "deployment": "an id"},
            f'raise run_budget_usd ("{TITLE}" in the form) from ',
        ),
        ({"deployment": "an id"}, "raise run.budget_usd in the policy from "),
    ],
    ids=["policy", "option", "form", "policy of a deployment"],
)
def test_the_cap_of_a_run_is_called_what_it_is_where_it_was_set(options, named):
    source = RunOptions("jobs.parquet", **options).cap_from
    figures = deferred_figures([one_sum()], [cap(OF_RUN, 1), cap(DAY, 1)], {}, policy(), cap_from=source)
    sentence = need_sentence(figures)
    assert named in sentence
    # whatever the run was asked, the day's cap is the policy's
    assert " and raise day.budget_usd in the policy from " in sentence
    assert [one.setting for one in figures.caps] == ["run.budget_usd", "day.budget_usd"]


def test_of_a_run_that_another_process_began_all_places_of_its_cap_are_named():
    figures = deferred_figures([one_sum()], [cap(OF_RUN, 1)], {}, policy(), cap_from=CapSource.UNKNOWN)
    for name in ("--run-budget-usd", "run_budget_usd", "run.budget_usd in the policy"):
        assert name in need_sentence(figures)


def test_only_what_has_a_price_and_room_under_every_cap_fits():
    assert fits(deferred_figures([one_sum()], [cap(DAY, NANO)], {}, policy()))
    assert not fits(deferred_figures([one_sum()], [cap(DAY, NANO)], {DAY: NANO}, policy()))
    assert not fits(deferred_figures([one_sum(unpriced=1)], [cap(DAY, NANO)], {}, policy()))
