"""Reconciliation: each attempt that a run paid for, what was estimated of it and what was billed, row by row."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from schemas.money import to_usd, to_usd_or_none
from schemas.outcome import Billing
from services.ledger import run_sums
from services.result_file import USD
from tasks.run import Run

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
        "over_hold_usd": USD,
        "attempt_id": pa.string(),
    }
)


def reconciliation_rows(run: Run) -> Iterator[dict[str, Any]]:
    """The rows of the file reconciliation-*.parquet, streamed."""
    for row in run_sums.paid(run.ledger, run.run_id):
        # a signed error means something only where the usage says all that was billed
        error = None
        if row.billing == Billing.FULL and row.actual_input_tokens is not None:
            error = row.actual_input_tokens - row.input_tokens
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
            "estimated_usd": to_usd(row.expected),
            "estimated_low_usd": to_usd_or_none(row.expected_low),
            "estimated_high_usd": to_usd_or_none(row.expected_high),
            "worst_case_usd": to_usd(row.worst_case),
            "actual_usd": to_usd(row.actual),
            "over_hold_usd": to_usd(max(0, row.actual - row.worst_case)),
            "attempt_id": row.attempt_id,
        }


def _percent(error: int, counted: int) -> Decimal | None:
    return (Decimal(error * 100) / counted).quantize(Decimal("0.001")) if counted else None
