"""Report: estimate compared with actual, per job, per model and per run; and the end of the run on record."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime

from prefect.context import FlowRunContext

from rules.cache_figures import cache_figures
from rules.caps import caps_of
from rules.ended_as import failure_sentence
from rules.holds_to_book import HOLDS_TO_BOOK, holds_to_book
from rules.lesson_figures import drifts, lesson_figures, taught_figures
from rules.nothing_bought import cut_off_figures, nothing_figures
from rules.prices import Unpriced
from rules.quote_terms import quote_outcome
from rules.raise_caps import deferred_figures
from rules.report_page import as_markdown, as_page
from rules.report_text import alarm_lines
from rules.run_outcome import RunFacts, passed_caps, run_outcome, shown_detail
from rules.sample_figures import sample_figures
from rules.usage_cost import cost_on
from schemas.money import to_usd
from schemas.outcome import Outcome, Reason, Scope
from schemas.report import (
    DeferredFigures,
    JobFigures,
    ModelFigures,
    Places,
    QuoteFigures,
    ReasonFigures,
    RowToFix,
    RunReport,
    TokenFigures,
    UsdFigures,
)
from schemas.saving_figures import CacheFigures, DeadlineFigures, FittedFigures, SampleFigures, SharedFigures
from schemas.settings import Settings
from services.cockpit import flow_run_address
from services.flow_runs import show_page
from services.ledger import (
    batches,
    fitted,
    lessons,
    prefixes,
    quotes,
    reviews,
    run_sums,
    runs,
    shared_answers,
)
from services.ledger.deferred_sums import deferred_sums
from services.ledger.known_rejects import known_rejects
from services.ledger.measured import measured_answers
from services.ledger.run_sums import ModelSums, ReasonSum
from services.ledger.windows import used_in_windows
from services.result_file import write_parts, write_text
from services.whole_thread import on_whole_thread
from tasks.announce import announce, month_projections
from tasks.reconciliation import RECONCILIATION, reconciliation_rows
from tasks.run import Run
from tasks.step import step

log = logging.getLogger("weighbridge")

_ROWS_PER_PART = 50_000
#: rows that the report itself names, at most
ROWS_TO_FIX = 20
#: the id of the run that comes next, which has no window yet
_NEXT_RUN = "the next run"
_TO_FIX = (Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN)


@step
async def report_run(run: Run) -> RunReport:
    """Compare estimates with actuals, write the report's files, end the run on record; its report, also in Prefect."""
    report = await on_whole_thread(finish_with_report, run)
    await show_report(report)
    return report


async def show_report(report: RunReport) -> None:
    """Show a report in Prefect, on the flow run of its run; outside of Prefect: nothing."""
    if report.prefect_flow_run_id is None or FlowRunContext.get() is None:
        return
    await show_page(
        report.prefect_flow_run_id, "weighbridge-report", as_page(report), f"Report of {report.run_id}"
    )


def finish_with_report(run: Run) -> RunReport:
    """The run's report, once its files are written and the run is ended on record."""
    report = report_on(run)
    for line in alarm_lines(report):
        log.warning("%s", line)
    write_report(run, report)
    runs.finish(run.ledger, run.run_id, report.outcome, report.model_dump(mode="json"))
    announce(run, report)
    return report


def write_report(run: Run, report: RunReport) -> None:
    """Write the report's files into the results folder of the run."""
    write_parts(run.results, "reconciliation", RECONCILIATION, reconciliation_rows(run), _ROWS_PER_PART)
    write_text(run.results / "report.md", as_markdown(report))
    write_text(run.results / "report.json", report.model_dump_json(indent=2))


def report_on(run: Run) -> RunReport:
    """The run's report, from the ledger."""
    rows = run_sums.rows_by_outcome(run.ledger, run.run_id)
    models = run_sums.by_model(run.ledger, run.run_id)
    reasons = run_sums.by_reason(run.ledger, run.run_id)
    by_outcome = _by_outcome(reasons)
    over_hold, over_hold_nano = run_sums.over_holds(run.ledger, run.run_id)
    unknown = reviews.unknown_holds(run.ledger, run.run_id, HOLDS_TO_BOOK)
    passed = passed_caps(run.policy, run_sums.settled_in_windows(run.ledger, run.run_id))
    known = _known_since(run)
    facts = RunFacts(rows, by_outcome, _rejected_by_reviewer(reasons), len(known), passed_a_cap=bool(passed))
    taught = lessons.of_run(run.ledger, run.run_id)
    learned = {key: run.scale.lesson_of(key) for key in taught}
    nothing = run_sums.bought_nothing(run.ledger, run.run_id)
    return RunReport(
        run_id=run.run_id,
        outcome=run_outcome(facts),
        jobs=JobFigures(
            read=sum(rows.values()), **{outcome.value: rows.get(outcome.value, 0) for outcome in Outcome}
        ),
        tokens=_token_figures(models),
        usd=_usd_figures(run, models, over_hold_nano),
        calls=run.tally,
        batches=batches.made_by(run.ledger, run.run_id),
        mode=run.policy.mode,
        seconds=_seconds_since(run.reference.started_at),
        simulated=run.gateway.simulated,
        from_earlier_runs=run_sums.carried(run.ledger, run.run_id),
        over_bound=sum(sums.over_bound for sums in models),
        over_hold=over_hold,
        caps_passed=passed,
        largest_model=run.models.largest,
        models=[_model_figures(sums) for sums in models],
        assumed_jobs=sum(sums.assumed for sums in models),
        assumed_share=run.policy.output.expected_share,
        hold_percentile=run.policy.hold.output_percentile,
        lessons=[lesson_figures(lesson) for lesson in learned.values()],
        taught=[taught_figures(key, seen) for key, seen in taught.items()],
        drift=list(drifts(learned, taught)),
        bought_nothing=nothing_figures(nothing),
        cut_off=cut_off_figures(nothing, learned),
        reasons=[_reason_figures(item) for item in reasons],
        fitted=_fitted_figures(run),
        cache=_cache_figures(run),
        month_projections=month_projections(run),
        shared=_shared_figures(run),
        rejected_before=len(known),
        rejected_since=min(known.values()) if known else None,
        rows_to_mend=_rows_to_fix(run, known),
        holds_to_book=holds_to_book(unknown, run.ledger.url),
        more_holds_to_book=reviews.count_unknown_holds(run.ledger, run.run_id) - len(unknown),
        deferred_for_money=_deferred_figures(run),
        deadline=_deadline_figures(run),
        quote=_quote_figures(run, models),
        sample=_sample_figures(run, sum(rows.values())),
        places=_places(run),
        prefect_flow_run_id=run.reference.prefect_flow_run_id,
        error=failure_sentence(by_outcome.get(Outcome.DEFERRED, set())),
    )


def _by_outcome(reasons: Sequence[ReasonSum]) -> dict[str, set[str]]:
    """The reasons of the rows that did not succeed, by outcome."""
    found: dict[str, set[str]] = {}
    for item in reasons:
        found.setdefault(item.outcome, set()).add(item.reason)
    return found


def _places(run: Run) -> Places:
    return Places(
        ledger=run.ledger.url,
        results=str(run.results),
        report=str(run.results / "report.md"),
        flow_run=flow_run_address(run.reference.prefect_flow_run_id),
        review_page=Settings().review_url,
    )


def _token_figures(models: Sequence[ModelSums]) -> TokenFigures:
    return TokenFigures(
        estimated_input=sum(sums.estimated_input for sums in models),
        actual_input=sum(sums.actual_input for sums in models),
        actual_output=sum(sums.actual_output for sums in models),
    )


def _usd_figures(run: Run, models: Sequence[ModelSums], over_hold: int) -> UsdFigures:
    """USD of the whole run.

    Args:
        run: the run.
        models: what it paid for, by model.
        over_hold: nano-USD that were billed above the holds.
    """
    largest = run.models.price_card(run.models.largest, run.scale.clock())
    on_largest = sum(cost_on(largest, paid) for paid in run_sums.paid(run.ledger, run.run_id))
    figures = UsdFigures(
        worst_case=to_usd(sum(sums.worst_case for sums in models)),
        estimated=to_usd(sum(sums.expected for sums in models)),
        actual=to_usd(sum(sums.actual for sums in models)),
        all_on_largest=to_usd(on_largest),
        held=to_usd(run_sums.held(run.ledger, run.run_id)),
        over_hold=to_usd(over_hold),
    )
    if models and not any(sums.assumed for sums in models):
        figures.estimated_low = to_usd(sum(sums.expected_low for sums in models))
        figures.estimated_high = to_usd(sum(sums.expected_high for sums in models))
    return figures


def _quote_figures(run: Run, models: Sequence[ModelSums]) -> QuoteFigures | None:
    """The quote that the run was held to, next to what it paid for; None: it was held to none."""
    quote_id = run.reference.quote_id
    quote = quotes.find(run.ledger, quote_id) if quote_id else None
    return None if quote is None else quote_outcome(quote, sum(sums.actual for sums in models))


def _sample_figures(run: Run, rows: int) -> SampleFigures | None:
    """What the run's sample measured; None: it read all rows."""
    asked = run.reference.sample
    if asked is None:
        return None
    answers = measured_answers(run.ledger, run.run_id)
    return sample_figures(asked, run.reference.way, rows, answers)


def _deferred_figures(run: Run) -> DeferredFigures | None:
    """What the jobs need that the run deferred for want of money, under the caps that the next run finds."""
    sums = deferred_sums(run.ledger, run.run_id)
    groups = {one.group for one in sums if one.group}
    # the next run has a window of its own, of which nothing is used
    caps = caps_of(run.policy, _NEXT_RUN, run.scale.clock(), groups, deadline=_deadline_period(run))
    used = used_in_windows(run.ledger, [cap.window for cap in caps])
    return deferred_figures(sums, caps, used, run.policy, cap_from=run.reference.cap_from)


def _deadline_period(run: Run) -> str | None:
    deadline = run.reference.deadline
    return None if deadline is None else deadline.period


def _deadline_figures(run: Run) -> DeadlineFigures | None:
    deadline = run.reference.deadline
    if deadline is None:
        return None
    jobs, nano = run_sums.for_deadline(run.ledger, run.run_id)
    budget = run.policy.cap(Scope.DEADLINE)
    return DeadlineFigures(due=deadline.due, jobs=jobs, usd=to_usd(nano), budget_usd=to_usd(budget or 0))


def _seconds_since(started_at: datetime) -> float:
    """From the beginning of the run to its end, whoever ends it."""
    return round((datetime.now(UTC) - started_at).total_seconds(), 3)


def _reason_figures(item: ReasonSum) -> ReasonFigures:
    return ReasonFigures(
        outcome=item.outcome,
        reason=item.reason,
        jobs=item.jobs,
        example_job_id=item.example_job_id,
        example_detail=shown_detail(item.reason, item.example_detail),
    )


def _fitted_figures(run: Run) -> list[FittedFigures]:
    return [
        FittedFigures(
            how=item.how,
            jobs=item.jobs,
            turns=item.turns,
            input_tokens=item.input_tokens,
            usd=to_usd(item.expected),
        )
        for item in fitted.sums(run.ledger, run.run_id)
    ]


def _cache_figures(run: Run) -> CacheFigures:
    sums = prefixes.sums(run.ledger, run.run_id)
    now = run.scale.clock()
    rates = {}
    for model in {one.prefix.model for one in sums}:
        with suppress(Unpriced):
            rates[model] = run.models.price_card(model, now).cache_rates
    return cache_figures(sums, rates)


def _shared_figures(run: Run) -> SharedFigures:
    found = shared_answers.shared_sum(run.ledger, run.run_id)
    return SharedFigures(jobs=found.jobs, saved_usd=to_usd(found.saved))


def _known_since(run: Run) -> dict[int, date]:
    """The rejected rows that are known, by number, each with the day of the policy's zone since which it is."""
    first_seen = known_rejects(run.ledger, run.run_id)
    return {number: moment.astimezone(run.policy.zone).date() for number, moment in first_seen.items()}


def _rows_to_fix(run: Run, known: Mapping[int, date]) -> list[RowToFix]:
    """The first rows that are news, and after them, where there is room, those that are known."""
    news: list[RowToFix] = []
    old: list[RowToFix] = []
    for row in run_sums.unanswered(run.ledger, run.run_id, _TO_FIX):
        since = known.get(row.row_number)
        kind = news if since is None else old
        if len(kind) < ROWS_TO_FIX:
            kind.append(
                RowToFix(
                    row_number=row.row_number,
                    job_id=row.job_id,
                    outcome=row.outcome,
                    detail=shown_detail(row.reason, row.detail),
                    known_since=since,
                )
            )
        if len(news) == ROWS_TO_FIX:
            break
    return (news + old)[:ROWS_TO_FIX]


def _rejected_by_reviewer(reasons: Sequence[ReasonSum]) -> int:
    """Rows that a reviewer rejected: nobody has to fix them."""
    return sum(item.jobs for item in reasons if item.reason == Reason.REJECTED_BY_REVIEWER)


def _model_figures(sums: ModelSums) -> ModelFigures:
    return ModelFigures(
        model=sums.model,
        jobs=sums.jobs,
        estimated_input=sums.estimated_input,
        actual_input=sums.actual_input,
        actual_output=sums.actual_output,
        estimated_usd=to_usd(sums.expected),
        actual_usd=to_usd(sums.actual),
        partial=sums.partial,
    )
