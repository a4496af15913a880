"""What a run ended as: its outcome, the caps that it passed, and what is said of its rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from rules.ended_as import FATAL_REASONS
from schemas.budget import Window
from schemas.money import to_usd
from schemas.outcome import MONEY_REASONS, Outcome, Reason, RunOutcome
from schemas.policy import Policy
from schemas.report import (
    PassedCap,
)


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


def shown_detail(reason: str | None, detail: str | None) -> str | None:
    """A detail as the report shows it: without the API's own words, which may quote the payload."""
    if detail and reason == Reason.REFUSED_BY_API:
        return detail.split(": ", maxsplit=1)[0] + " (its words are in the ledger)"
    return detail[:300] if detail else None
