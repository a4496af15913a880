"""Reconcile: estimate beside actual, per job, per model and per run; and the run's report."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from schemas.money import to_usd
from schemas.outcome import MONEY_REASONS, Billing, Outcome, Reason, RunOutcome
from schemas.report import (
    JobFigures,
    ModelFigures,
    Places,
    ReasonFigures,
    RowToMend,
    RunReport,
    TokenFigures,
    UsdFigures,
)
from schemas.report_text import as_markdown
from services.ledger import batches, figures, runs
from services.ledger.figures import ModelSums
from services.prices import BilledTokens
from services.result_file import USD, write_parts, write_text
from tasks.start_run import Run

RECONCILIATION = pa.schema(
    {
        "run_id": pa.string(),
        "job_id": pa.string(),
        "group": pa.string(),
        "model": pa.string(),
        "estimated_input_tokens": pa.int64(),
        "actual_input_tokens": pa.int64(),
        "actual_output_tokens": pa.int64(),
        "estimated_usd": USD,
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
    rows = figures.rows_by_outcome(run.ledger, run.run_id)
    models = figures.by_model(run.ledger, run.run_id)
    reasons = figures.by_reason(run.ledger, run.run_id)
    stopped_by = {item.reason for item, *_ in reasons if item.outcome == Outcome.DEFERRED}
    denied = Reason.ACCESS_DENIED in stopped_by
    return RunReport(
        run_id=run.run_id,
        outcome=run_outcome(rows, stopped_by),
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
            actual=to_usd(sum(sums.actual for sums in models)),
            all_on_largest=to_usd(_all_on_largest(run)),
            held=to_usd(figures.held(run.ledger, run.run_id)),
        ),
        calls=run.gateway.tally,
        batches=batches.made_by(run.ledger, run.run_id),
        mode=run.policy.mode,
        seconds=round(time.monotonic() - run.began, 3),
        simulated=run.gateway.simulated,
        from_earlier_runs=figures.carried(run.ledger, run.run_id),
        over_bound=sum(sums.over_bound for sums in models),
        largest_model=run.largest_model,
        models=[_model_figures(sums) for sums in models],
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
            for row in figures.unanswered(run.ledger, run.run_id, _TO_MEND, limit=ROWS_TO_MEND)
        ],
        places=Places(ledger=run.ledger.url, results=str(run.results), report=str(run.results / "report.md")),
        prefect_flow_run_id=run.prefect_flow_run_id,
        error="The API key was not accepted while the run was under way." if denied else None,
    )


def run_outcome(rows: Mapping[str | None, int], deferred_for: set[str]) -> RunOutcome:
    """What a run ended as.

    Args:
        rows: rows by outcome.
        deferred_for: the reasons of the deferred ones.
    """
    if rows.get(None) or Reason.ACCESS_DENIED in deferred_for:
        return RunOutcome.FAILED
    if deferred_for & MONEY_REASONS:
        return RunOutcome.BUDGET_STOP
    unfinished = (Outcome.REJECTED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.DEFERRED)
    return RunOutcome.INCOMPLETE if any(rows.get(outcome) for outcome in unfinished) else RunOutcome.COMPLETE


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
    for row in figures.paid(run.ledger, run.run_id):
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
    )


def _reconciliation(run: Run) -> Iterator[dict[str, Any]]:
    for row in figures.paid(run.ledger, run.run_id):
        yield {
            "run_id": run.run_id,
            "job_id": row.job_id,
            "group": row.group_name,
            "model": row.model,
            "estimated_input_tokens": row.input_tokens,
            "actual_input_tokens": row.actual_input_tokens,
            "actual_output_tokens": row.actual_output_tokens,
            "estimated_usd": to_usd(row.expected_nano_usd),
            "worst_case_usd": to_usd(row.worst_case_nano_usd),
            "actual_usd": to_usd(row.actual_nano_usd),
            "attempt_id": row.attempt_id,
        }


def reconcile_run(run: Run) -> RunReport:
    """Compare, write the report's files and end the run on record."""
    report = report_on(run)
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
