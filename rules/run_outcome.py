"""What a run ended as, and how its sums read as figures of its report."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal

from rules.lesson import Lesson, LessonKey, Percentiles, Taught, as_percent, drifted, percentiles
from schemas.outcome import MONEY_REASONS, Outcome, Reason, RunOutcome
from schemas.report import (
    Drift,
    LessonFigures,
    MarginFigures,
    OutputFigures,
    PercentileFigures,
    TaughtFigures,
)

#: why a run failed as a whole, by the reason that its rows were deferred for
FATAL_REASONS = {
    Reason.ACCESS_DENIED: "The API key was not accepted while the run was under way.",
    Reason.ENDPOINT_UNUSABLE: "The address does not lead to the API; see the reason of the deferred rows.",
}


def failure_sentence(deferred_for: set[str]) -> str | None:
    """Why the run failed as a whole, or None when it did not."""
    return next((words for reason, words in FATAL_REASONS.items() if reason in deferred_for), None)


def run_outcome(
    rows: Mapping[str | None, int], deferred_for: set[str], rejected_by_reviewer: int = 0
) -> RunOutcome:
    """What a run ended as.

    Args:
        rows: rows by outcome.
        deferred_for: the reasons of the deferred ones.
        rejected_by_reviewer: how many of the rejected ones a person rejected, so that nothing is left to be done.
    """
    if rows.get(None) or deferred_for & FATAL_REASONS.keys():
        return RunOutcome.FAILED
    if deferred_for & MONEY_REASONS:
        return RunOutcome.BUDGET_STOP
    unfinished = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.DEFERRED)
    invalid = rows.get(Outcome.REJECTED, 0) > rejected_by_reviewer
    unfinished_rows = invalid or any(rows.get(outcome) for outcome in unfinished)
    return RunOutcome.INCOMPLETE if unfinished_rows else RunOutcome.COMPLETE


def shown(reason: str | None, detail: str | None) -> str | None:
    """A detail as the report shows it: without the API's own words, which may quote the payload."""
    if detail and reason == Reason.REFUSED_BY_API:
        return detail.split(": ", maxsplit=1)[0] + " (its words are in the ledger)"
    return detail[:300] if detail else None


def lesson_figures(lesson: Lesson) -> LessonFigures:
    """A lesson as the report shows it."""
    answers = percentiles(lesson.outputs.tokens)
    return LessonFigures(
        model=lesson.model,
        payload_class=lesson.payload_class,
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


def taught_figures(kind: LessonKey, seen: Taught) -> TaughtFigures:
    return TaughtFigures(
        model=kind[0],
        payload_class=kind[1],
        jobs=seen.jobs,
        n=seen.tally.n,
        over_bound=seen.over_bound,
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
    for kind, seen in taught.items():
        if detail := drifted(lessons[kind], seen):
            yield Drift(model=kind[0], payload_class=kind[1], detail=detail)
