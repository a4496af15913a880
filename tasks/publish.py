"""Publish: the answers of a run as Parquet parts, straight from the ledger."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from rules.answer_text import result_text
from schemas.money import to_usd_or_none
from schemas.outcome import Outcome
from schemas.policy import Policy
from services.ledger import run_sums
from services.result_file import USD, write_parts
from tasks.run import Run
from tasks.step import step

ROWS_PER_PART = 5_000

RESULTS = pa.schema(
    {
        "job_id": pa.string(),
        "row_number": pa.int64(),
        "model": pa.string(),
        "stop_reason": pa.string(),
        "text": pa.string(),
        "input_tokens": pa.int64(),
        "output_tokens": pa.int64(),
        "cost_usd": USD,
        "response": pa.string(),
        "attempt_id": pa.string(),
        "paid_in_run": pa.string(),
        "simulated": pa.bool_(),
    }
)

UNANSWERED = pa.schema(
    {
        "row_number": pa.int64(),
        "job_id": pa.string(),
        "outcome": pa.string(),
        "reason": pa.string(),
        "detail": pa.string(),
    }
)


@step
def publish(run: Run) -> list[Path]:
    """Write the run's answers, and the rows without one with the reason, as Parquet parts; the files.

    Together they are the input, row for row, each with the columns of it that the policy keeps. A row that an earlier
    run paid for has its answer here too; when that was pruned from the ledger, `text` and `response` are null.
    """
    without = [outcome for outcome in Outcome if outcome != Outcome.SUCCEEDED]
    unanswered = run_sums.unanswered(run.ledger, run.run_id, without)
    rows = (
        {**(row.kept or {}), **{name: getattr(row, name) for name in UNANSWERED.names}} for row in unanswered
    )
    schemas = [with_kept(columns, run.policy) for columns in (RESULTS, UNANSWERED)]
    return [
        *write_parts(run.results, "results", schemas[0], _rows(run), ROWS_PER_PART),
        *write_parts(run.results, "unanswered", schemas[1], rows, ROWS_PER_PART * 10),
    ]


def with_kept(columns: pa.Schema, policy: Policy) -> pa.Schema:
    """Columns, and after them those of the input that the policy keeps, as text."""
    return pa.schema([*columns, *(pa.field(name, pa.string()) for name in policy.results.keep)])


def _rows(run: Run) -> Iterator[dict[str, Any]]:
    for row in run_sums.answers(run.ledger, run.run_id):
        yield {
            **(row.kept or {}),
            "job_id": row.job_id,
            "row_number": row.row_number,
            "model": row.model,
            "stop_reason": row.stop_reason,
            "text": result_text(row.body) if row.body else None,
            "input_tokens": row.actual_input_tokens,
            "output_tokens": row.actual_output_tokens,
            "cost_usd": to_usd_or_none(row.cost),
            "response": row.body,
            "attempt_id": row.attempt_id,
            "paid_in_run": row.run_id,
            "simulated": run.gateway.simulated,
        }
