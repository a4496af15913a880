"""How a run ended, in words: the same in its report, in the list of runs and, as its name, in Prefect's state."""

from collections.abc import Collection, Mapping
from typing import Any

from schemas.looked_up import RunLine
from schemas.outcome import Outcome, Reason, RunOutcome
from schemas.report import RunReport

#: how long it has not ended: somebody works on it, or nobody does
_AT_WORK, _LEFT = "not ended", "interrupted, not collected"
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


def ended_as(report: RunReport) -> str:
    """How a run ended by its report."""
    deferred_for = {one.reason for one in report.reasons if one.outcome == Outcome.DEFERRED}
    return _words(report.outcome, deferred_for, report.jobs.review)


def stands_as(run: RunLine) -> str:
    """How a run in a list ended, or that it has not."""
    if run.outcome is None:
        return _LEFT if run.is_left else _AT_WORK
    report: Mapping[str, Any] = run.report or {}
    reasons = report.get("reasons", ())
    deferred_for = {one["reason"] for one in reasons if one["outcome"] == Outcome.DEFERRED}
    return _words(run.outcome, deferred_for, report.get("jobs", {}).get("review", 0))


def _words(outcome: str, deferred_for: Collection[str], in_review: int) -> str:
    words = outcome.replace("_", " ")
    if outcome == RunOutcome.FAILED:
        why = next((reason for reason in FATAL_REASONS if reason in deferred_for), None)
        return f"{words}, {why.replace('_', ' ')}" if why else words
    if outcome == RunOutcome.COMPLETE and in_review:
        return f"{words}, needs review"
    return words
