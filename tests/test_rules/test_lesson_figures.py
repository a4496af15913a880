"""The report shows the lesson that estimates went by, what the run saw of it, and where the two part."""

from decimal import Decimal

from rules.lesson import DRIFT_SAMPLES, LessonKey, Observation, Tally, Taught, lesson
from rules.lesson_figures import drifts, lesson_figures, taught_figures
from schemas.policy_sections import Margin

KEY = LessonKey("claude-opus-5-5", "plain", "high")


def answers(billed, number=DRIFT_SAMPLES):
    """Answers to requests of 1,000 tokens that were billed for this many."""
    return Tally(Observation(1_000, billed, 10, 100) for _ in range(number))


def test_errors_are_percent_of_the_count_and_of_none_there_are_none():
    figures = lesson_figures(lesson(KEY, answers(1_020), Margin()))
    assert (figures.model, figures.payload_class, figures.effort) == KEY
    assert figures.input_error.p50 == figures.input_error.max == Decimal(2)
    empty = lesson_figures(lesson(KEY, Tally(()), Margin()))
    assert (empty.n, empty.enough, empty.input_error, empty.output_tokens) == (0, False, None, None)


def test_what_a_run_saw_has_its_errors_in_percent_and_in_tokens():
    seen = taught_figures(KEY, Taught(jobs=3, left_out=1, tally=answers(990, 2)))
    assert (seen.jobs, seen.n) == (3, 2)
    assert (seen.input_error.p50, seen.input_error_tokens.p50) == (Decimal(-1), Decimal(-10))


def test_only_a_kind_whose_bills_left_the_lines_drifted():
    lessons = {KEY: lesson(KEY, answers(1_020), Margin(min_samples=DRIFT_SAMPLES))}
    assert list(drifts(lessons, {KEY: Taught(jobs=DRIFT_SAMPLES, tally=answers(1_020))})) == []
    [drift] = drifts(lessons, {KEY: Taught(jobs=DRIFT_SAMPLES, tally=answers(1_200))})
    assert (drift.model, drift.payload_class, drift.effort) == KEY
    assert "+20" in drift.detail
