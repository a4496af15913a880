"""What a run ended as, and how its sums read as figures of its report."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from rules.lesson import Lesson, LessonKey, Percentiles, Taught, as_percent, drifted, percentiles
from schemas.budget import Window
from schemas.money import to_usd
from schemas.outcome import MONEY_REASONS, Outcome, Reason, RunOutcome
from schemas.policy import Policy
from schemas.report import (
    Drift,
    LessonFigures,
    MarginFigures,
    OutputFigures,
    PassedCap,
    PercentileFigures,
    TaughtFigures,
)

#: why a run failed as a whole, by the reason that its rows were deferred for
FATAL_REASONS = {
    Reason.ACCESS_DENIED: "The API key was not accepted while the run was under way.",
    Reason.TAKEN_OVER: "Another process took the run over while this one could not be heard of; it sent no more.",
    Reason.INTERRUPTED: "The run was interrupted; the next run over the same input goes on from there.",
    Reason.ENDPOINT_UNUSABLE: "The address does not lead to the API; see the reason of the deferred rows.",
}


def failure_sentence(deferred_for: set[str]) -> str | None:
    """Why the run failed as a whole, or None when it did not."""
    return next((words for reason, words in FATAL_REASONS.items() if reason in deferred_for), None)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the outcome of a run hangs on.

    Attributes:
        rows: rows by outcome.
        reasons: reasons of the rows that did not succeed, by outcome.
        rejected_by_reviewer: how many of the rejected ones a person rejected, so that nothing is left to be done.
        rejected_before: how many of them an earlier run reported just as they are now: they are no news.
        passed_a_cap: what was settled in a window of the run is above its cap.
    """

    rows: Mapping[str | None, int]
    reasons: Mapping[str, Collection[str]]
    rejected_by_reviewer: int = 0
    rejected_before: int = 0
    passed_a_cap: bool = False


def run_outcome(run: RunFacts) -> RunOutcome:
    """What a run ended as. One that passed a cap, or met a broken scale, is never complete."""
    deferred_for = set(run.reasons.get(Outcome.DEFERRED, ()))
    if run.rows.get(None) or deferred_for & FATAL_REASONS.keys():
        return RunOutcome.FAILED
    if deferred_for & MONEY_REASONS or run.passed_a_cap:
        return RunOutcome.BUDGET_STOP
    unfinished = any(run.rows.get(outcome) for outcome in (Outcome.FAILED, Outcome.UNKNOWN, Outcome.DEFERRED))
    invalid = run.rows.get(Outcome.REJECTED, 0) > run.rejected_by_reviewer + run.rejected_before
    broken_scale = Reason.IMPOSSIBLE_COUNT in run.reasons.get(Outcome.REVIEW, ())
    return RunOutcome.INCOMPLETE if unfinished or invalid or broken_scale else RunOutcome.COMPLETE


def passed_caps(policy: Policy, settled: Mapping[Window, int]) -> list[PassedCap]:
    """The caps of a policy that what is settled in their windows passed, in nano-USD by window."""
    found = []
    for window, nano in settled.items():
        cap = policy.cap(window.scope, window.group)
        if cap is not None and nano > cap:
            found.append(
                PassedCap(
                    scope=window.scope,
                    period=window.period,
                    group=window.group or None,
                    cap_usd=to_usd(cap),
                    settled_usd=to_usd(nano),
                    over_usd=to_usd(nano - cap),
                )
            )
    return found


def shown(reason: str | None, detail: str | None) -> str | None:
    """A detail as the report shows it: without the API's own words, which may quote the payload."""
    if detail and reason == Reason.REFUSED_BY_API:
        return detail.split(": ", maxsplit=1)[0] + " (its words are in the ledger)"
    return detail[:300] if detail else None


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
    for key, seen in taught.items():
        if detail := drifted(lessons[key], seen):
            yield Drift(model=key.model, payload_class=key.payload_class, effort=key.effort, detail=detail)
