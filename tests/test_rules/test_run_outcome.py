"""What a run ended as: never well over a cap, nor by a scale that does not weigh."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rules.report_page import as_markdown
from rules.report_text import alarm_lines, money_rows
from rules.run_outcome import RunFacts, passed_caps, run_outcome
from schemas.budget import Window
from schemas.money import to_nano
from schemas.outcome import EXIT_CODES, Outcome, Reason, RunOutcome, Scope
from schemas.report import RunReport
from tests.strategies import policy

rows = st.dictionaries(st.sampled_from([None, *Outcome]), st.integers(0, 3))
reasons = st.dictionaries(
    st.sampled_from([Outcome.DEFERRED, Outcome.REVIEW]), st.sets(st.sampled_from(list(Reason)), max_size=3)
)
facts = st.builds(RunFacts, rows, reasons, st.integers(0, 3), st.booleans())


@given(facts)
def test_a_run_that_passed_a_cap_or_met_a_broken_scale_never_ends_with_0(run):
    outcome = run_outcome(run)
    if run.passed_a_cap:
        assert outcome in (RunOutcome.FAILED, RunOutcome.BUDGET_STOP)
    if run.passed_a_cap or Reason.IMPOSSIBLE_COUNT in run.reasons.get(Outcome.REVIEW, ()):
        assert EXIT_CODES[outcome] != 0


@given(facts)
def test_money_that_ran_out_is_told_before_rows_that_are_left(run):
    stopped = run.reasons.get(Outcome.DEFERRED, set())
    outcome = run_outcome(run)
    if stopped & {Reason.ACCESS_DENIED, Reason.ENDPOINT_UNUSABLE} or run.rows.get(None):
        assert outcome is RunOutcome.FAILED
    elif stopped & {Reason.DAY_BUDGET, Reason.BILLS_OVER_HOLDS}:
        assert outcome is RunOutcome.BUDGET_STOP


WINDOWS = [
    Window(Scope.RUN, "run-1"),
    Window(Scope.DAY, "2026-11-22"),
    Window(Scope.MONTH, "2026-11"),
    Window(Scope.DAY, "2026-11-22", "ana"),
    Window(Scope.DAY, "2026-11-22", "ben"),
]


@given(
    st.lists(st.none() | st.integers(0, 20), min_size=5, max_size=5),
    st.lists(st.integers(0, 20), min_size=5, max_size=5),
)
def test_a_cap_is_passed_by_what_is_settled_above_it_and_by_how_much(caps, settled):
    budgets = [{"budget_usd": None if cap is None else str(cap)} for cap in caps]
    rules = policy(
        run=budgets[0],
        day=budgets[1],
        month=budgets[2],
        groups={"ana": {"day": budgets[3]}, "ben": {"day": budgets[4]}},
    )
    found = passed_caps(
        rules, {window: to_nano(Decimal(usd)) for window, usd in zip(WINDOWS, settled, strict=True)}
    )
    expected = [
        (window.scope, window.group or None, Decimal(usd - cap))
        for window, cap, usd in zip(WINDOWS, caps, settled, strict=True)
        if cap is not None and usd > cap
    ]
    assert [(one.scope, one.group, one.over_usd) for one in found] == expected


def test_the_report_says_by_how_much_a_cap_was_passed_and_bills_their_holds():
    rules = policy(day={"budget_usd": "0.06"})
    report = RunReport(
        run_id="r",
        outcome=RunOutcome.BUDGET_STOP,
        over_hold=3,
        caps_passed=passed_caps(rules, {WINDOWS[1]: to_nano(Decimal("0.6"))}),
    )
    report.usd.over_hold = Decimal("0.54")
    [cap, holds] = alarm_lines(report)
    assert cap.startswith("Cap passed by $0.540000: $0.600000 are settled in the day budget of $0.060000")
    assert holds.startswith("Over hold: 3 jobs were billed above the worst case that was held for them")
    assert cap in as_markdown(report)
    assert ("over hold", "$0.540000", "3 jobs; see the alarm") in money_rows(report)
    assert RunReport.model_validate_json(report.model_dump_json()) == report
