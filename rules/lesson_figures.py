"""Lessons as the report of a run shows them: what its estimates went by, what it saw, and where bills drifted."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from rules.lesson import Lesson, LessonKey, Percentiles, Taught, as_percent, drifted, percentiles
from schemas.report import (
    Drift,
    LessonFigures,
    MarginFigures,
    OutputFigures,
    PercentileFigures,
    TaughtFigures,
)


def lesson_figures(lesson: Lesson) -> LessonFigures:
    """A lesson as the report shows it."""
    answers = percentiles(lesson.outputs.tokens)
    return LessonFigures(
        model=lesson.key.model,
        payload_class=lesson.key.payload_class,
        effort=lesson.key.effort,
        n=lesson.n,
        enough=lesson.enough,
        input_error=_percent_figures(lesson.error_share),
        output_tokens=answers
        and OutputFigures(
            p5=answers.p5,
            p50=answers.p50,
            p95=answers.p95,
            mean=lesson.outputs.mean(answers.most),
            thinking_share=lesson.thinking_share,
        ),
        margin=MarginFigures(
            percent=lesson.margin.input_percent,
            tokens=lesson.margin.input_tokens,
            source="observed" if lesson.margin_is_observed else "policy",
        ),
    )


def taught_figures(key: LessonKey, seen: Taught) -> TaughtFigures:
    """What a run saw of one kind as its report shows it."""
    return TaughtFigures(
        model=key.model,
        payload_class=key.payload_class,
        effort=key.effort,
        jobs=seen.jobs,
        n=seen.tally.n,
        over_bound=seen.over_bound,
        far_off=seen.far_off,
        without_input=seen.without_input,
        over_output=seen.over_output,
        input_error=_percent_figures(percentiles(seen.tally.error_share)),
        input_error_tokens=_figures(percentiles(seen.tally.error_tokens), Decimal),
    )


def _percent_figures(found: Percentiles | None) -> PercentileFigures | None:
    return _figures(found, as_percent)


def _figures(found: Percentiles | None, shown_as: Callable[[int], Decimal]) -> PercentileFigures | None:
    if found is None:
        return None
    return PercentileFigures(
        p5=shown_as(found.p5),
        p50=shown_as(found.p50),
        p95=shown_as(found.p95),
        p99=shown_as(found.p99),
        max=shown_as(found.most),
    )


def drifts(lessons: Mapping[LessonKey, Lesson], taught: Mapping[LessonKey, Taught]) -> Iterator[Drift]:
    """The kinds whose bills left the lines of the answers before the run."""
    for key, seen in taught.items():
        if detail := drifted(lessons[key], seen):
            yield Drift(model=key.model, payload_class=key.payload_class, effort=key.effort, detail=detail)
