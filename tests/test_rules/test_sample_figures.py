"""What a sample measured: figures of its own answers, and none where there were none."""

from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from rules.report_page import as_markdown
from rules.report_text import sample_line
from rules.sample_figures import sample_figures
from schemas.attempt import MeasuredAnswer
from schemas.money import to_nano
from schemas.outcome import RunOutcome
from schemas.report import RunReport
from schemas.run import SampleOptions, Way

answers = st.builds(
    MeasuredAnswer, st.integers(0, 64_000), st.none() | st.integers(0, 64_000), st.integers(0, 10**12)
)


@given(
    st.lists(answers, max_size=30),
    st.sampled_from([None, "low", "max"]),
    st.sampled_from([None, 2_000]),
    st.integers(0, 40),
)
def test_the_figures_are_those_of_the_answers_and_none_where_there_were_none(seen, effort, budget, rows):
    found = sample_figures(SampleOptions(20, 7), Way(effort, budget), rows, seen)
    assert (found.rows, found.seed, found.answers) == (rows, 7, len(seen))
    assert (found.effort, found.thinking_budget) == (effort, budget)
    outputs = [one.output_tokens for one in seen]
    thinking = [one.thinking_tokens for one in seen if one.thinking_tokens is not None]
    for values, mean, p95 in (
        (outputs, found.mean_output, found.p95_output),
        (thinking, found.mean_thinking, found.p95_thinking),
    ):
        if not values:
            assert (mean, p95) == (None, None)
            continue
        assert len(values) * (mean - 1) < sum(values) <= len(values) * mean
        assert p95 in values
        assert sum(value <= p95 for value in values) >= ceil(len(values) * 0.95 - 1e-9)
    if seen:
        total = sum(one.cost for one in seen)
        assert 0 <= len(seen) * to_nano(found.usd_per_job) - total < len(seen)
    else:
        assert found.usd_per_job is None


def test_the_report_states_the_sample_in_a_sentence():
    seen = [MeasuredAnswer(100, 40, 1_000_000), MeasuredAnswer(300, 60, 3_000_000)]
    report = RunReport(
        run_id="r", outcome=RunOutcome.COMPLETE, sample=sample_figures(SampleOptions(2), Way("high"), 2, seen)
    )
    line = (
        "A sample of 2 rows (seed 1), at effort high: 2 answers, 200 output tokens on average (p95 300), of which thinking "
        "50 (p95 60), $0.002000 a job."
    )
    assert sample_line(report) == line
    assert line in as_markdown(report)
    report.sample = sample_figures(SampleOptions(2), Way(), 2, [])
    assert sample_line(report) == ("A sample of 2 rows (seed 1), as they are: no answer was observed.")
    report.sample = sample_figures(SampleOptions(2), Way(budget=2_000), 2, [])
    assert "with a thinking budget of 2,000: no answer" in sample_line(report)
    report.sample = None
    assert sample_line(report) is None
