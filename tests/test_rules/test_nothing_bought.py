"""Money that bought no whole answer: what is named, and what max_tokens would have sufficed."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rules.lesson import LessonKey, Observation, Tally, lesson
from rules.nothing_bought import cut_off_figures, nothing_figures
from rules.report_page import as_markdown
from rules.report_text import nothing_rows
from schemas.attempt import NothingSum
from schemas.outcome import RunOutcome
from schemas.payload.traits import PayloadClass
from schemas.policy_sections import Margin
from schemas.report import RunReport

KIND = LessonKey("m", PayloadClass.TEXT)
SUMS = [
    NothingSum(kind="cut_off", model="m", payload_class="text", jobs=3, cost=3_000_000_000),
    NothingSum(kind="cut_off", model="n", payload_class="tools", jobs=1, cost=500_000_000),
    NothingSum(kind="refused", model="m", payload_class="text", jobs=2, cost=1),
]


def learned(lengths, max_tokens=100, min_samples=50):
    seen = Tally(Observation(10, 10, min(length, max_tokens), max_tokens) for length in lengths)
    return lesson(KIND, seen, Margin(min_samples=min_samples))


@given(st.lists(st.integers(1, 120), min_size=50, max_size=120), st.sampled_from([95, 99]))
def test_what_would_suffice_covers_so_many_answers_and_is_not_known_where_too_many_were_cut_off(
    lengths, percent
):
    found = learned(lengths).suffices(percent)
    uncut = [length for length in lengths if length < 100]
    if found is None:
        assert len(uncut) * 100 < percent * len(lengths)
    else:
        assert found < 100
        assert sum(length <= found for length in uncut) * 100 >= percent * len(lengths)


def test_nothing_is_known_from_too_few_answers():
    assert learned([7] * 49).suffices(95) is None
    assert learned([7] * 50).suffices(95) == 7


def test_the_kinds_are_summed_over_all_models_and_none_is_named_that_did_not_occur():
    assert [(one.kind, one.jobs, one.usd) for one in nothing_figures(SUMS)] == [
        ("cut_off", 4, Decimal("3.5")),
        ("refused", 2, Decimal("0.000000001")),
    ]


def test_answers_at_another_effort_say_nothing_about_what_would_have_sufficed():
    high = NothingSum(kind="cut_off", model="m", payload_class="text", jobs=1, cost=1, effort="high")
    (cut,) = cut_off_figures([high], {KIND: learned([*range(1, 60), 100])})
    assert (cut.effort, cut.observed, cut.max_tokens_95) == ("high", 0, None)
    (cut,) = cut_off_figures([high], {KIND._replace(effort="high"): learned([*range(1, 60), 100])})
    assert (cut.effort, cut.observed, cut.max_tokens_95) == ("high", 60, 57)


def test_the_report_names_what_would_have_sufficed_or_that_it_is_not_known():
    # one of 60 was cut off: fewer than 5 % of them, and more than 1 %
    cut = cut_off_figures(SUMS, {KIND: learned([*range(1, 60), 100])})
    assert [(one.model, one.observed, one.max_tokens_95, one.max_tokens_99) for one in cut] == [
        ("m", 60, 57, None),
        ("n", 0, None, None),
    ]
    report = RunReport(
        run_id="r", outcome=RunOutcome.COMPLETE, bought_nothing=nothing_figures(SUMS), cut_off=cut
    )
    remarks = [row[-1] for row in nothing_rows(report)]
    assert remarks[1] == (
        "max_tokens that would suffice: 57 for 95 % of such jobs, not known for 99 %, by 60 observed answers"
    )
    assert remarks[2] == "max_tokens that would suffice: not known, by 0 observed answers"
    assert "| cut off | 4 |" in as_markdown(report)
    assert RunReport.model_validate_json(report.model_dump_json()) == report
    assert "bought nothing" not in as_markdown(RunReport(run_id="r", outcome=RunOutcome.COMPLETE))
