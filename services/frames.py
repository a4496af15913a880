"""What is on record, as pandas DataFrames for a notebook: typed, exact, bounded, and only read.

Each column is Arrow-backed, also without rows. Money is whole nano-USD (`*_nano_usd`, int64) or exact USD (decimal128),
never a float; `usd` turns the one into the other. Moments are UTC. A ledger is named by its URL, which is opened to
read, or given open. Rows come in pieces of bounded size; a frame of more than `limit` rows is refused, not cut.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import (
    JSON,
    Boolean,
    ColumnElement,
    Integer,
    Numeric,
    Select,
    String,
    column,
    select,
    table,
)
from sqlalchemy.types import TypeEngine

from schemas.errors import BadInput
from schemas.ledger import AttemptRow, JobRow, RunRow
from schemas.review_tables import ReviewRow
from schemas.table import UtcDateTime
from services.ledger.store import Ledger, open_to_read, revision
from services.ledger.tables_version import newest_revision
from services.result_file import USD

#: rows of a frame, unless its caller allows more
MOST_ROWS = 1_000_000
#: rows of a piece, of which there is one in memory as Python objects
PIECE = 10_000

_RUN_COLUMNS = (
    RunRow.run_id,
    RunRow.jobs_path,
    RunRow.results_path,
    RunRow.policy_name,
    RunRow.mode,
    RunRow.simulated,
    RunRow.started_at,
    RunRow.ended_at,
    RunRow.outcome,
    RunRow.prefect_flow_run_id,
)
_TEXT = String()
_PAID = table(
    "reconciliation",
    *(column(name, _TEXT) for name in ("run_id", "job_id", "group_name", "model", "payload_class", "method")),
    column("attempt_id", _TEXT),
    column("estimated_input_tokens", Integer()),
    column("actual_input_tokens", Integer()),
    column("error_tokens", Integer()),
    column("error_percent", Numeric(20, 3)),
    column("actual_output_tokens", Integer()),
    column("thinking_tokens", Integer()),
    column("service_tier", _TEXT),
    column("billing", _TEXT),
    column("estimated_nano_usd", Integer()),
    column("worst_case_nano_usd", Integer()),
    column("actual_nano_usd", Integer()),
)
_PENDING = table("reviews_pending", column("id", Integer()))


def runs(ledger: str | Ledger, *, limit: int = MOST_ROWS) -> pd.DataFrame:
    """One row a run, in the order in which they started.

    Args:
        ledger: its URL, or an open one.
        limit: the most rows.

    Raises:
        BadInput: there are more rows, or no ledger of this version is there.
        RunFailed: the database does not answer.
    """
    return _frame(ledger, select(*_RUN_COLUMNS).order_by(RunRow.started_at, RunRow.run_id), limit)


def jobs(ledger: str | Ledger, run_id: str | None = None, *, limit: int = MOST_ROWS) -> pd.DataFrame:
    """One row a job, with its estimate, decision, outcome and reason; of one run, or of all. Raises as `runs`."""
    return _frame(ledger, _jobs(run_id), limit)


def jobs_in_pieces(
    ledger: str | Ledger, run_id: str | None = None, *, rows: int = PIECE
) -> Iterator[pd.DataFrame]:
    """The same as frames of at most `rows` rows, of which the first always comes, be it empty."""
    return _pieces(ledger, _jobs(run_id), rows)


def reconciliation(
    ledger: str | Ledger, run_id: str | None = None, *, limit: int = MOST_ROWS
) -> pd.DataFrame:
    """One row an answer that was paid for: estimate next to actual, as in the view of that name. Raises as `runs`."""
    return _frame(ledger, _reconciliation(run_id), limit)


def reconciliation_in_pieces(
    ledger: str | Ledger, run_id: str | None = None, *, rows: int = PIECE
) -> Iterator[pd.DataFrame]:
    """The same as frames of at most `rows` rows, of which the first always comes, be it empty."""
    return _pieces(ledger, _reconciliation(run_id), rows)


def reviews(ledger: str | Ledger, *, pending: bool = False, limit: int = MOST_ROWS) -> pd.DataFrame:
    """One row a review, oldest first; only those of the view `reviews_pending`, or all. Raises as `runs`."""
    # its columns in USD are readings of those in nano-USD
    columns = [
        one
        for one in _plain_columns(ReviewRow)
        if not str(one.key).endswith("_usd") or "_nano_" in str(one.key)
    ]
    query = select(*columns).order_by(ReviewRow.id)
    if pending:
        query = query.where(ReviewRow.id.in_(select(_PENDING.c.id)))
    return _frame(ledger, query, limit)


def results(folder: str | Path, *, limit: int = MOST_ROWS) -> pd.DataFrame:
    """The answers of a run, one row each, from the Parquet parts `results-*` in its folder.

    Raises:
        BadInput: there are more rows than `limit`, or no result files.
    """
    parts = _result_parts(folder)
    number = sum(pq.read_metadata(part).num_rows for part in parts)
    if number > limit:
        raise _too_many(limit, "read them with frames.results_in_pieces")
    return _as_frame(pa.concat_tables([pq.ParquetFile(part).read() for part in parts]))


def results_in_pieces(folder: str | Path, *, rows: int = PIECE) -> Iterator[pd.DataFrame]:
    """The same as frames of at most `rows` rows; none where there are no answers."""
    for part in _result_parts(folder):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=rows):
                yield _as_frame(pa.Table.from_batches([batch]))


def usd(nano_usd: pd.Series) -> pd.Series:
    """Amounts in nano-USD as exact USD with nine places (decimal128)."""
    whole = pa.array(nano_usd, type=pa.int64(), from_pandas=True).cast(pa.decimal128(19, 0))
    exact = pc.multiply(whole, pa.scalar("0.000000001").cast(pa.decimal128(1 + 9, 9))).cast(USD)
    return pd.Series(pd.arrays.ArrowExtensionArray(exact), index=nano_usd.index, name=nano_usd.name)


def _jobs(run_id: str | None) -> Select[Any]:
    query = select(*_plain_columns(JobRow)).order_by(JobRow.run_id, JobRow.row_number)
    return query if run_id is None else query.where(JobRow.run_id == run_id)


def _reconciliation(run_id: str | None) -> Select[Any]:
    """The view, with the moments of the attempt and its range, which the view has in USD only."""
    attempt = AttemptRow.__table__.c
    query = (
        select(
            *_PAID.c,
            attempt.expected_low_nano_usd.label("estimated_low_nano_usd"),
            attempt.expected_high_nano_usd.label("estimated_high_nano_usd"),
            attempt.sent_at,
            attempt.ended_at,
        )
        .join_from(_PAID, AttemptRow.__table__, attempt.attempt_id == _PAID.c.attempt_id)
        .order_by(attempt.run_id, attempt.row_number, attempt.attempt_id)
    )
    return query if run_id is None else query.where(_PAID.c.run_id == run_id)


def _plain_columns(source: type[JobRow | ReviewRow]) -> list[ColumnElement[Any]]:
    return [one for one in source.__table__.columns if not isinstance(one.type, JSON)]


def _frame(ledger: str | Ledger, query: Select[Any], limit: int) -> pd.DataFrame:
    kept, number = [], 0
    for batch in _batches(ledger, query.limit(limit + 1), PIECE):
        number += batch.num_rows
        if number > limit:
            raise _too_many(limit, "name one run_id, or read it with the function of that name + _in_pieces")
        kept.append(batch)
    return _as_frame(pa.Table.from_batches(kept, _schema(query)))


def _pieces(ledger: str | Ledger, query: Select[Any], rows: int) -> Iterator[pd.DataFrame]:
    batches = _batches(ledger, query, rows)
    first = next(batches, None)
    some = () if first is None else (first,)
    if first is None:
        yield _as_frame(_schema(query).empty_table())
    for batch in chain(some, batches):
        yield _as_frame(pa.Table.from_batches([batch]))


def _batches(ledger: str | Ledger, query: Select[Any], rows: int) -> Iterator[pa.RecordBatch]:
    """The rows of a query as record batches, streamed: the database's cursor is read on with each of them."""
    schema = _schema(query)
    with _reading(ledger) as opened, opened.read() as connection:
        if revision(connection) != newest_revision():
            raise BadInput(
                f"The ledger {opened.url} has the tables of another version of Weighbridge. Nothing was changed; a run "
                "of this version brings it up to date, or use the version that made it."
            )
        found = connection.execution_options(stream_results=True).execute(query)
        with closing(found):
            for part in found.partitions(rows):
                columns = zip(*part, strict=True)
                arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


@contextmanager
def _reading(ledger: str | Ledger) -> Iterator[Ledger]:
    if isinstance(ledger, Ledger):
        yield ledger
        return
    with closing(open_to_read(ledger)) as opened:
        yield opened


def _schema(query: Select[Any]) -> pa.Schema:
    return pa.schema([(str(one.key), _arrow_type(one.type)) for one in query.selected_columns])


def _arrow_type(kind: TypeEngine[Any]) -> pa.DataType:
    match kind:
        case UtcDateTime():
            return pa.timestamp("us", tz="UTC")
        case Boolean():
            return pa.bool_()
        case Integer():
            return pa.int64()
        case Numeric(precision=int(precision), scale=int(scale)):
            return pa.decimal128(precision, scale)
        case String():
            return pa.string()
    raise TypeError(f"a frame has no column of {kind!r}")


def _result_parts(folder: str | Path) -> list[Path]:
    parts = sorted(Path(folder).glob("results-*.parquet"))
    if not parts:
        raise BadInput(f"There are no files results-*.parquet in {folder}. Name the folder of one run.")
    return parts


def _too_many(limit: int, instead: str) -> BadInput:
    return BadInput(
        f"There are more than {limit:,} rows. None was kept; allow more with `limit`, or {instead}."
    )


def _as_frame(rows: pa.Table) -> pd.DataFrame:
    return cast("pd.DataFrame", rows.to_pandas(types_mapper=pd.ArrowDtype))
