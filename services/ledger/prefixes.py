"""Shared prefixes on record: which jobs begin with which, how they are marked, and what their marks came to."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, case, func, insert, select, update

from rules.cache_plan import FEWEST_FOLLOWERS
from schemas.job import RunId
from schemas.ledger import AttemptRow, JobRow, PayloadRow
from schemas.outcome import AttemptState, Method
from schemas.saving_tables import CachePrefixRow
from schemas.shared_prefix import PlannedPrefix, PrefixSums, SharedPrefix
from services.ledger.jobs import QUEUED
from services.ledger.store import Ledger

#: runs that ended longer ago say nothing of the share of hits any more, so that a bad night is not the last word
_REMEMBERED = timedelta(days=14)
#: runs that the range of the share of hits is made of, at most
_MOST_RUNS = 10
_READ = func.coalesce(AttemptRow.cache_read_tokens, 0)
_WRITTEN = func.coalesce(AttemptRow.cache_write_tokens, 0)
_WRITTEN_1H = func.coalesce(AttemptRow.cache_write_1h_tokens, 0)
#: answered, and cached at all: what was marked and too short, or went out without its mark, says nothing
_MEASURED = (
    AttemptRow.prefix_key.is_not(None),
    AttemptRow.state == AttemptState.SUCCEEDED,
    _READ + _WRITTEN > 0,
)


@dataclass(frozen=True, slots=True)
class RoutedPayload:
    """A job that waits to be sent, with what is sent of it.

    Attributes:
        tokens: its input tokens under the model.
        body: its payload as JSON.
    """

    row_number: int
    model: str
    tokens: int
    body: str


def routed_payloads(ledger: Ledger, run_id: RunId, least_bytes: int) -> Iterator[RoutedPayload]:
    """The jobs of a run that wait to be sent and have no cache markers of their own, streamed in the order of their rows.

    Args:
        ledger: the ledger.
        run_id: the run.
        least_bytes: smaller payloads are left out.
    """
    query = (
        select(
            JobRow.row_number,
            JobRow.model,
            JobRow.input_tokens,
            func.coalesce(PayloadRow.pruned_body, PayloadRow.body),
        )
        .join(PayloadRow, (PayloadRow.run_id == JobRow.run_id) & (PayloadRow.row_number == JobRow.row_number))
        .where(
            JobRow.run_id == run_id,
            *QUEUED,
            JobRow.model.is_not(None),
            JobRow.method == Method.COUNTED,
            JobRow.cache_ttl.is_(None),
            JobRow.payload_bytes >= least_bytes,
        )
        .order_by(JobRow.row_number)
    )
    with ledger.read() as connection:
        for row in connection.execution_options(yield_per=200).execute(query):
            yield RoutedPayload(*row)


def bodies(ledger: Ledger, run_id: RunId, rows: Iterable[int]) -> dict[int, str]:
    """What is sent of jobs, as JSON, by row."""
    query = select(PayloadRow.row_number, func.coalesce(PayloadRow.pruned_body, PayloadRow.body)).where(
        PayloadRow.run_id == run_id, PayloadRow.row_number.in_(list(rows))
    )
    with ledger.read() as connection:
        return {row: body for row, body in connection.execute(query)}  # noqa: C416 - a Row is no tuple


def assign(ledger: Ledger, run_id: RunId, keys: Sequence[tuple[int, str]]) -> None:
    """Write down which prefix jobs begin with, by row, in one transaction."""
    if not keys:
        return
    with ledger.write() as connection:
        connection.execute(
            update(JobRow)
            .where(JobRow.run_id == run_id, JobRow.row_number == bindparam("r_row"))
            .values(prefix_key=bindparam("v_key")),
            [{"r_row": row, "v_key": key} for row, key in keys],
        )


def keep(ledger: Ledger, run_id: RunId, planned: Iterable[PlannedPrefix]) -> None:
    """Write down how prefixes are marked, and forget the others, in one transaction."""
    rows = [
        {
            "run_id": run_id,
            "prefix_key": one.prefix.key,
            "model": one.prefix.model,
            "ends_at": one.prefix.where,
            "input_tokens": one.prefix.tokens,
            "jobs": one.prefix.jobs,
            "prime_ttl": one.prime_ttl,
            "ttl": one.ttl,
            "low_nano_usd": one.low_nano_usd,
            "high_nano_usd": one.high_nano_usd,
        }
        for one in planned
    ]
    with ledger.write() as connection:
        if rows:
            connection.execute(insert(CachePrefixRow), rows)
        kept = select(CachePrefixRow.prefix_key).where(CachePrefixRow.run_id == run_id)
        connection.execute(
            update(JobRow)
            .where(JobRow.run_id == run_id, JobRow.prefix_key.is_not(None), JobRow.prefix_key.not_in(kept))
            .values(prefix_key=None)
        )


def sums(ledger: Ledger, run_id: RunId) -> list[PrefixSums]:
    """What the marks of each prefix of a run came to, the one with most tokens first."""
    follows = AttemptRow.is_prime.is_(False)
    row = CachePrefixRow
    query = (
        select(
            row.prefix_key,
            row.model,
            row.ends_at,
            row.input_tokens,
            row.jobs,
            AttemptRow.batch_id.is_not(None).label("batch"),
            func.count().label("answered"),
            func.sum(_WRITTEN).label("written"),
            func.sum(_WRITTEN_1H).label("written_1h"),
            func.sum(_READ).label("read"),
            func.sum(case((follows, _READ + _WRITTEN), else_=0)).label("could"),
            func.sum(case((follows, _READ), else_=0)).label("did"),
        )
        .join(AttemptRow, (AttemptRow.run_id == row.run_id) & (AttemptRow.prefix_key == row.prefix_key))
        .where(row.run_id == run_id, *_MEASURED)
        .group_by(row.prefix_key, row.model, row.ends_at, row.input_tokens, row.jobs, "batch")
        .order_by((row.input_tokens * row.jobs).desc(), row.prefix_key, "batch")
    )
    with ledger.read() as connection:
        return [
            PrefixSums(
                SharedPrefix(one.prefix_key, one.model, one.ends_at, one.input_tokens, one.jobs),
                bool(one.batch),
                one.answered,
                *(int(value) for value in one[7:]),
            )
            for one in connection.execute(query)
        ]


def hit_shares(ledger: Ledger, model: str, before: datetime, *, batch: bool) -> list[int]:
    """The share of hits of each of the last runs with enough marked answers after the first ones, in thousandths.

    Args:
        ledger: the ledger.
        model: the model.
        before: only answers that ended before it.
        batch: of answers that came in batches, or of the others.
    """
    in_batch = AttemptRow.batch_id.is_not(None)
    could = func.sum(_READ + _WRITTEN)
    query = (
        select(func.sum(_READ), could)
        .where(
            *_MEASURED,
            AttemptRow.is_prime.is_(False),
            AttemptRow.model == model,
            in_batch if batch else ~in_batch,
            AttemptRow.ended_at < before,
            AttemptRow.ended_at >= before - _REMEMBERED,
        )
        .group_by(AttemptRow.run_id)
        .having(func.count() >= FEWEST_FOLLOWERS)
        .order_by(func.max(AttemptRow.ended_at).desc())
        .limit(_MOST_RUNS)
    )
    with ledger.read() as connection:
        return [int(read) * 1000 // int(total) for read, total in connection.execute(query)]
