"""The file of a quote: what a run would make of each row, as Parquet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from rules.quote_tally import QuotedRow
from schemas.money import to_usd
from services.result_file import USD, growing_file

_COLUMNS = pa.schema(
    [
        ("row_number", pa.int64()),
        ("job_id", pa.string()),
        ("group", pa.string()),
        ("decision", pa.string()),
        ("reason", pa.string()),
        ("model", pa.string()),
        ("input_tokens", pa.int64()),
        ("method", pa.string()),
        ("expected_usd", USD),
        ("worst_usd", USD),
        ("observed_answers", pa.int64()),
    ]
)


@contextmanager
def quote_file(path: Path) -> Iterator[Callable[[Sequence[QuotedRow]], None]]:
    """What adds rows to a new file of quotes; it is there once all are written."""
    with growing_file(path, _COLUMNS) as write:
        yield lambda rows: write([_as_row(one) for one in rows])


def _decision(one: QuotedRow) -> str:
    """What a run would decide, in a word."""
    if one.is_shared:
        return "shared"
    return "send" if one.outcome is None else str(one.outcome)


def _as_row(one: QuotedRow) -> dict[str, Any]:
    """A row of the file of job quotes."""
    job, quote = one.job, one.quote
    return {
        "row_number": one.row_number,
        "job_id": one.job_id,
        "group": job.group if job else None,
        "decision": _decision(one),
        "reason": None if one.reason is None else str(one.reason),
        "model": job.model if job else None,
        "input_tokens": job.input_tokens if job else None,
        "method": str(job.method) if job and job.method else None,
        "expected_usd": to_usd(quote.estimate.expected) if quote else None,
        "worst_usd": to_usd(quote.estimate.worst_case) if quote else None,
        "observed_answers": quote.observed if quote else None,
    }
