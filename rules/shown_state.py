"""What the state of a run's flow run says: its name, whether it counts as failed, and one sentence.

Prefect colours a state by its type alone, red for a failed one and green for a completed one, and names the events that
automations listen to after the name (`prefect.flow-run.BudgetStop`). So a run that needs an operator is failed in
Prefect, exactly as the command ends with another exit code than 0, and its name says which hand it needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rules.ledger_option import ledger_option
from rules.raise_caps import fits, need_sentence
from schemas.outcome import EXIT_CODES, MONEY_REASONS, Outcome, Reason, RunOutcome
from schemas.report import RunReport
from schemas.words import with_noun

#: what is to be done before a deferred job may be sent again, where no cap of the policy is in its way
_FIRST = {
    Reason.PROVIDER_SPEND_LIMIT: "the provider's spend limit is reached: raise it in the provider's console first",
    Reason.BILLS_OVER_HOLDS: "bills were above their holds: compare them with `weighbridge check-bill{ledger}` first",
}
_REPORT_IS = "the report is among the artifacts of this flow run"


class StateName(StrEnum):
    """The names of the states that a run ends in, as Prefect shows them."""

    #: every row succeeded
    COMPLETED = "Completed"
    #: every row succeeded or waits for a person
    NEEDS_REVIEW = "NeedsReview"
    #: a budget ran out, or was passed
    BUDGET_STOP = "BudgetStop"
    #: some rows were rejected, failed, are unknown, or are in flight in another run
    INCOMPLETE = "Incomplete"
    #: the run itself ended early
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ShownState:
    """How Prefect shows what a run ended as.

    Attributes:
        failed: its type is failed, and not completed.
        run_id: of the run.
        happened: what happened, without the run's id.
        to_do: what an operator has to do next, the most urgent first.
    """

    name: StateName
    failed: bool
    run_id: str
    happened: str
    to_do: tuple[str, ...]

    @property
    def message(self) -> str:
        """What happened, and what to do next, in one line."""
        if self.name is StateName.FAILED:
            return self.happened
        return "; ".join([f"{self.run_id}: {self.happened}", *self.to_do])


def cancelled_message(message: str, *, is_complete: bool, has_report: bool) -> str:
    """What the state says of a flow run that was cancelled too late to stop anything, in one line.

    Args:
        message: of the state that it would have ended in.
        is_complete: that state says that nothing is left to be done.
        has_report: it is a run, whose report Prefect shows.
    """
    done = "everything was done" if is_complete else "nothing was stopped by it"
    if not has_report:
        return f"cancelled when it had ended by itself: {done}; {message}"
    return f"cancelled after the last job had ended: {done}; {_REPORT_IS}; {message}"


def shown_state(report: RunReport) -> ShownState:
    """The state that shows a run's report."""
    figures = f"{report.jobs.succeeded:,} of {report.jobs.read:,} jobs succeeded, {report.usd.actual:f} USD"
    to_do = tuple(_to_do(report))
    if report.outcome is RunOutcome.FAILED:
        figures, to_do = report.error or f"{report.run_id}: {figures}", ()
    return ShownState(
        name=_name(report),
        failed=EXIT_CODES[report.outcome] != 0,
        run_id=report.run_id,
        happened=figures,
        to_do=to_do,
    )


def _name(report: RunReport) -> StateName:
    match report.outcome:
        case RunOutcome.FAILED:
            return StateName.FAILED
        case RunOutcome.BUDGET_STOP:
            return StateName.BUDGET_STOP
        case RunOutcome.INCOMPLETE:
            return StateName.INCOMPLETE
    return StateName.NEEDS_REVIEW if report.jobs.review else StateName.COMPLETED


def _to_do(report: RunReport) -> Iterator[str]:
    """What an operator has to do, the most urgent first."""
    ledger = "" if report.places is None else ledger_option(report.places.ledger)
    for cap in report.caps_passed:
        whose = f" of the group {cap.group}" if cap.group else ""
        yield (
            f"what was billed is {cap.over_usd:f} USD above the {cap.scope} budget{whose}: compare it with "
            f"`weighbridge check-bill{ledger}` before you raise the cap"
        )
    yield from _money(report, ledger)
    yield from _unfinished(report, ledger)
    if report.jobs.review:
        yield (
            f"{_jobs(report.jobs.review, 'waits', 'wait')} for a person: decide with `weighbridge review list{ledger}` "
            "or on the review page, then resubmit-approved sends what was approved"
        )


def _money(report: RunReport, ledger: str) -> Iterator[str]:
    """What the jobs need that were deferred for want of money; `ledger` is the option that leads a command to it."""
    reasons = {one.reason: one.jobs for one in report.reasons if one.outcome == Outcome.DEFERRED}
    short = {reason: jobs for reason, jobs in reasons.items() if reason in MONEY_REASONS}
    if not short:
        return
    why = ", ".join(reason.replace("_", " ") for reason in sorted(short))
    first = [_FIRST[Reason(reason)].format(ledger=ledger) for reason in short if reason in _FIRST]
    yield from first
    need, figures = "raise the cap and run again", report.deferred_for_money
    if figures is not None:
        need = need_sentence(figures)
        if fits(figures) and not first and not report.caps_passed:
            yield "start the run again: the rest fits"
    yield f"{_jobs(sum(short.values()), 'is', 'are')} deferred for want of money ({why}): {need}"


def _unfinished(report: RunReport, ledger: str) -> Iterator[str]:
    """What else keeps a run from being complete; `ledger` is the option that leads a command to it."""
    reasons = {(one.outcome, one.reason): one.jobs for one in report.reasons}
    elsewhere = report.jobs.deferred - sum(
        jobs
        for (outcome, reason), jobs in reasons.items()
        if outcome == Outcome.DEFERRED and reason in MONEY_REASONS
    )
    no_news = reasons.get((Outcome.REJECTED, Reason.REJECTED_BY_REVIEWER), 0) + report.rejected_before
    rejected = report.jobs.rejected - no_news
    if rejected:
        yield f"{_jobs(rejected, 'was', 'were')} rejected: fix the rows that the report names"
    if report.jobs.unknown:
        yield (
            f"{_jobs(report.jobs.unknown, 'has', 'have')} an unknown outcome and may have been billed: see "
            f"`weighbridge review holds{ledger}`"
        )
    if report.jobs.failed:
        yield f"{_jobs(report.jobs.failed, 'was', 'were')} not answered and not billed: run again"
    if elsewhere:
        yield f"{_jobs(elsewhere, 'is', 'are')} deferred: the next run takes them up"
    if impossible := reasons.get((Outcome.REVIEW, Reason.IMPOSSIBLE_COUNT)):
        yield f"{_jobs(impossible, 'has', 'have')} a count that cannot be right: check the endpoint of count_tokens"


def _jobs(number: int, one: str, many: str) -> str:
    """A number of jobs with its verb."""
    return with_noun(number, f"job {one}", f"jobs {many}")
