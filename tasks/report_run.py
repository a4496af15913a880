"""Reconcile: estimate beside actual, per job, per model and per run; and the run's report."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from rules.lesson import Lesson, LessonKey, Percentiles, Taught, as_percent, drifted, percentiles
from rules.prices import BilledTokens
from rules.report_text import as_markdown
from schemas.money import to_usd, to_usd_or_none
from schemas.outcome import MONEY_REASONS, Billing, Outcome, Reason, RunOutcome
from schemas.report import (
    Drift,
    JobFigures,
    LessonFigures,
    MarginFigures,
    ModelFigures,
    OutputFigures,
    PercentileFigures,
    Places,
    ReasonFigures,
    RowToMend,
    RunReport,
    TaughtFigures,
    TokenFigures,
    UsdFigures,
)
from services.ledger import batches, lessons, run_sums, runs
from services.ledger.run_sums import ModelSums, ReasonSum
from services.result_file import USD, write_parts, write_text
from tasks.learn import lesson_of
from tasks.start_run import Run

log = logging.getLogger("weighbridge")

#: a signed error in percent
PERCENT: pa.DataType = pa.decimal128(20, 3)
RECONCILIATION = pa.schema(
    {
        "run_id": pa.string(),
        "job_id": pa.string(),
        "group": pa.string(),
        "model": pa.string(),
        "payload_class": pa.string(),
        "method": pa.string(),
        "estimated_input_tokens": pa.int64(),
        "actual_input_tokens": pa.int64(),
        "error_tokens": pa.int64(),
        "error_percent": PERCENT,
        "actual_output_tokens": pa.int64(),
        "thinking_tokens": pa.int64(),
        "service_tier": pa.string(),
        "billing": pa.string(),
        "estimated_usd": USD,
        "estimated_low_usd": USD,
        "estimated_high_usd": USD,
        "worst_case_usd": USD,
        "actual_usd": USD,
        "attempt_id": pa.string(),
    }
)
_ROWS_PER_PART = 50_000
#: so many rows are named in the report itself
ROWS_TO_MEND = 20
_TO_MEND = (Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN)


def report_on(run: Run) -> RunReport:
    """The run's report, from the ledger."""
    rows = run_sums.rows_by_outcome(run.ledger, run.run_id)
    models = run_sums.by_model(run.ledger, run.run_id)
    reasons = run_sums.by_reason(run.ledger, run.run_id)
    stopped_by = {item.reason for item, *_ in reasons if item.outcome == Outcome.DEFERRED}
    denied = Reason.ACCESS_DENIED in stopped_by
    taught = lessons.of_run(run.ledger, run.run_id)
    learned = {kind: lesson_of(run, kind) for kind in taught}
    assumed = sum(sums.assumed for sums in models)
    ranged = bool(models) and not assumed
    return RunReport(
        run_id=run.run_id,
        outcome=run_outcome(rows, stopped_by, _decided(reasons)),
        jobs=JobFigures(
            read=sum(rows.values()), **{outcome.value: rows.get(outcome.value, 0) for outcome in Outcome}
        ),
        tokens=TokenFigures(
            estimated_input=sum(sums.estimated_input for sums in models),
            actual_input=sum(sums.actual_input for sums in models),
            actual_output=sum(sums.actual_output for sums in models),
        ),
        usd=UsdFigures(
            worst_case=to_usd(sum(sums.worst_case for sums in models)),
            estimated=to_usd(sum(sums.expected for sums in models)),
            estimated_low=to_usd(sum(sums.expected_low for sums in models)) if ranged else None,
            estimated_high=to_usd(sum(sums.expected_high for sums in models)) if ranged else None,
            actual=to_usd(sum(sums.actual for sums in models)),
            all_on_largest=to_usd(_all_on_largest(run)),
            held=to_usd(run_sums.held(run.ledger, run.run_id)),
        ),
        calls=run.gateway.tally,
        batches=batches.made_by(run.ledger, run.run_id),
        mode=run.policy.mode,
        seconds=round(time.monotonic() - run.began, 3),
        simulated=run.gateway.simulated,
        from_earlier_runs=run_sums.carried(run.ledger, run.run_id),
        over_bound=sum(sums.over_bound for sums in models),
        largest_model=run.largest_model,
        models=[_model_figures(sums) for sums in models],
        assumed_jobs=assumed,
        assumed_share=run.policy.output.expected_share,
        hold_percentile=run.policy.hold.output_percentile,
        lessons=[lesson_figures(lesson) for lesson in learned.values()],
        taught=[_taught_figures(kind, seen) for kind, seen in taught.items()],
        drift=list(_drift(learned, taught)),
        reasons=[
            ReasonFigures(
                outcome=item.outcome,
                reason=item.reason,
                jobs=item.jobs,
                example_job_id=job_id,
                example_detail=shown(item.reason, detail),
            )
            for item, job_id, detail in reasons
        ],
        rows_to_mend=[
            RowToMend(
                row_number=row.row_number,
                job_id=row.job_id,
                outcome=row.outcome,
                detail=shown(row.reason, row.detail),
            )
            for row in run_sums.unanswered(run.ledger, run.run_id, _TO_MEND, limit=ROWS_TO_MEND)
        ],
        places=Places(ledger=run.ledger.url, results=str(run.results), report=str(run.results / "report.md")),
        prefect_flow_run_id=run.prefect_flow_run_id,
        error="The API key was not accepted while the run was under way." if denied else None,
    )


def _decided(reasons: Sequence[tuple[ReasonSum, str | None, str | None]]) -> int:
    """Rows that a reviewer rejected: nobody has to mend them."""
    return sum(item.jobs for item, *_ in reasons if item.reason == Reason.REJECTED_BY_REVIEWER)


def run_outcome(
    rows: Mapping[str | None, int], deferred_for: set[str], rejected_by_reviewer: int = 0
) -> RunOutcome:
    """What a run ended as.

    Args:
        rows: rows by outcome.
        deferred_for: the reasons of the deferred ones.
        rejected_by_reviewer: how many of the rejected ones a person rejected, so that nothing is left to be done.
    """
    if rows.get(None) or Reason.ACCESS_DENIED in deferred_for:
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


def _all_on_largest(run: Run) -> int:
    """Nano-USD that the same requests would have cost on the largest model, each priced by itself.

    Code execution is left out: it costs the same beside any model.
    """
    card = run.price_card(run.largest_model)
    total = 0
    for row in run_sums.paid(run.ledger, run.run_id):
        if row.billing == Billing.NOT_BILLED:
            continue
        write, write_1h = row.cache_write_tokens or 0, row.cache_write_1h_tokens or 0
        read = row.cache_read_tokens or 0
        tokens = BilledTokens(
            row.actual_input_tokens - write - read,
            row.actual_output_tokens,
            cache_write_5m=write - write_1h,
            cache_write_1h=write_1h,
            cache_read=read,
            web_searches=row.web_searches or 0,
        )
        # another model may have no fast mode to compare with
        speed = (row.usage or {}).get("speed") if row.model == card.model else None
        cost, _ = card.bill(tokens, batch=row.batch_id is not None, geo=row.inference_geo, speed=speed)
        total += cost
    return total


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


def _taught_figures(kind: LessonKey, seen: Taught) -> TaughtFigures:
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


def _drift(lessons: Mapping[LessonKey, Lesson], taught: Mapping[LessonKey, Taught]) -> Iterator[Drift]:
    for kind, seen in taught.items():
        if detail := drifted(lessons[kind], seen):
            yield Drift(model=kind[0], payload_class=kind[1], detail=detail)


def _reconciliation(run: Run) -> Iterator[dict[str, Any]]:
    for row in run_sums.paid(run.ledger, run.run_id):
        # a signed error means something only where the usage says all that was billed
        error = row.actual_input_tokens - row.input_tokens if row.billing == Billing.FULL else None
        yield {
            "run_id": run.run_id,
            "job_id": row.job_id,
            "group": row.group_name,
            "model": row.model,
            "payload_class": row.payload_class,
            "method": row.method,
            "estimated_input_tokens": row.input_tokens,
            "actual_input_tokens": row.actual_input_tokens,
            "error_tokens": error,
            "error_percent": None if error is None else _percent(error, row.input_tokens),
            "actual_output_tokens": row.actual_output_tokens,
            "thinking_tokens": row.thinking_tokens,
            "service_tier": row.service_tier,
            "billing": row.billing,
            "estimated_usd": to_usd(row.expected_nano_usd),
            "estimated_low_usd": to_usd_or_none(row.expected_low_nano_usd),
            "estimated_high_usd": to_usd_or_none(row.expected_high_nano_usd),
            "worst_case_usd": to_usd(row.worst_case_nano_usd),
            "actual_usd": to_usd(row.actual_nano_usd),
            "attempt_id": row.attempt_id,
        }


def _percent(error: int, counted: int) -> Decimal | None:
    return (Decimal(error * 100) / counted).quantize(Decimal("0.001")) if counted else None


def reconcile_run(run: Run) -> RunReport:
    """Compare, write the report's files and end the run on record."""
    report = report_on(run)
    for drift in report.drift:
        log.warning("%s", drift.detail)
    write_parts(run.results, "reconciliation", RECONCILIATION, _reconciliation(run), _ROWS_PER_PART)
    write_text(run.results / "report.md", as_markdown(report))
    write_text(run.results / "report.json", report.model_dump_json(indent=2))
    runs.finish(run.ledger, run.run_id, report.outcome, report.model_dump(mode="json"))
    return report


@task(name="reconcile", cache_policy=NO_CACHE, persist_result=False)
def reconcile(run: Run) -> RunReport:
    """Compare estimates with actuals and publish the report; the report."""
    report = reconcile_run(run)
    create_markdown_artifact(
        as_markdown(report), key="weighbridge-report", description=f"Report of {run.run_id}"
    )
    return report
