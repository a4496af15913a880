"""Jobs on record: every input row of a run, from reading to its outcome."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, insert, select

from rules.endings import answered_before, stopped_before_decision
from rules.endings import rejected as rejected_ending
from rules.identity import refused_fingerprint, same_id_line
from schemas.estimate import TokenCount
from schemas.fitted_job import FittedJob
from schemas.job import EndedJob, Job, JobUpdate, KeptAnswers, QueuedJob, RejectedRow, RunId, Shard
from schemas.ledger import JobRow, PayloadRow
from schemas.outcome import Outcome, Reason
from schemas.payload.traits import Traits
from schemas.run import RunKey
from schemas.words import printable
from services.ledger import fitted
from services.ledger.counts import insert_counts
from services.ledger.leases import assert_owner
from services.ledger.outcomes import end_where, ending_columns, left_unanswered, requeue, update_rows
from services.ledger.prior import paid_before
from services.ledger.store import Ledger

#: what shares another row's answer is neither counted nor sent
QUEUED = (JobRow.outcome.is_(None), JobRow.attempt_id.is_(None), JobRow.shares_with_row.is_(None))
#: what a queued job is read from
QUEUED_COLUMNS = (
    JobRow.row_number,
    JobRow.job_id,
    JobRow.fingerprint,
    JobRow.group_name,
    JobRow.pinned_model,
    JobRow.max_tokens,
    JobRow.own_max_input_tokens,
    JobRow.own_max_cost_nano_usd,
    JobRow.cache_ttl,
    JobRow.model,
    JobRow.input_tokens,
    JobRow.method,
    JobRow.payload_bytes,
    JobRow.traits,
    JobRow.review_id,
    JobRow.ceiling_tokens,
    JobRow.ceiling_nano_usd,
    JobRow.prefix_key,
)
_TRAITS = QUEUED_COLUMNS.index(JobRow.traits)
#: payloads held in memory together, bytes: a shard ends where the next job would pass it
SHARD_BYTES = 16_000_000


def add(
    ledger: Ledger,
    run_id: RunId,
    jobs: Sequence[Job],
    rejected: Sequence[RejectedRow],
    ended: Sequence[EndedJob] = (),
    *,
    serving: KeptAnswers = KeptAnswers(),  # noqa: B008 - frozen
) -> int:
    """Put rows on record, in one transaction; how many of them wait for a decision.

    A job id that the run already has is rejected; a rejected row takes no id. A job that an earlier run already paid
    for, with the same payload and, where it is pinned, under the same model, succeeds at once and costs nothing; so does
    one that may have the answer of another job to the same payload, unless a person has decided about it.

    Args:
        ledger: the ledger.
        run_id: the run.
        jobs: rows to be weighed.
        rejected: rows that are not a valid job.
        ended: jobs whose outcome a person has decided.
        serving: the answers on record that jobs get; what none of them serves is weighed.
    """
    ends = {end.job.row_number: end for end in ended}
    given = sorted([*jobs, *(end.job for end in ended)], key=lambda job: job.row_number)
    with ledger.write() as connection:
        on_record = connection.execute(
            select(JobRow.job_id, JobRow.row_number).where(
                JobRow.run_id == run_id,
                JobRow.job_id.in_([job.job_id for job in given]),
                JobRow.outcome.is_(None) | (JobRow.outcome != Outcome.REJECTED),
            )
        )
        taken = {row.job_id: row.row_number for row in on_record}
        fresh, twice = _split_duplicates(given, taken)
        paid = paid_before(connection, fresh, ends, serving)
        rows = [_job_row(run_id, job, paid.get(job.row_number), ends.get(job.row_number)) for job in fresh]
        refused = [_rejected_row(run_id, row) for row in (*rejected, *twice)]
        waiting = {row["row_number"] for row in rows if row["outcome"] is None}
        if rows or refused:
            connection.execute(insert(JobRow), rows + refused)
        payloads = [
            {"run_id": run_id, "row_number": job.row_number, "body": job.payload.text.decode()}
            for job in fresh
            if job.row_number in waiting
        ]
        if payloads:
            connection.execute(insert(PayloadRow), payloads)
    return len(waiting)


def _split_duplicates(
    jobs: Sequence[Job], taken: dict[str | None, int]
) -> tuple[list[Job], list[RejectedRow]]:
    """The jobs whose id is new to the run, and the rejections of the others; `taken`: its ids, each with its row."""
    fresh: list[Job] = []
    twice: list[RejectedRow] = []
    for job in jobs:
        if job.job_id in taken:
            twice.append(
                RejectedRow(
                    job.row_number,
                    job.job_id,
                    "job_id",
                    same_id_line(job.files, taken[job.job_id], job.row_number),
                    job.kept,
                    refused_fingerprint("same id", job.payload.fingerprint),
                )
            )
        else:
            taken[job.job_id] = job.row_number
            fresh.append(job)
    return fresh, twice


#: what is known of a row only later
_LATER = {
    "model", "input_tokens", "method", "expected_nano_usd", "worst_case_nano_usd", "prefix_key", "shares_with_row",
}  # fmt: skip
_EMPTY_ROW: dict[str, Any] = {
    column.name: None for column in JobRow.__table__.columns if column.name not in _LATER
} | {"priority": 0}


def _job_row(run_id: RunId, job: Job, paid_by: str | None, end: EndedJob | None) -> dict[str, Any]:
    approval = job.approval
    return _EMPTY_ROW | {
        "run_id": run_id,
        "row_number": job.row_number,
        "job_id": job.job_id,
        "fingerprint": job.payload.fingerprint,
        "group_name": job.group,
        "priority": job.priority,
        "pinned_model": job.model,
        "max_tokens": job.payload.max_tokens,
        "own_max_input_tokens": job.max_input_tokens,
        "own_max_cost_nano_usd": job.max_cost,
        "cache_ttl": job.payload.cache_ttl,
        "traits": job.payload.traits.as_json(),
        "payload_bytes": len(job.payload.text),
        "review_id": approval.review_id if approval else None,
        "ceiling_tokens": approval.input_tokens if approval else None,
        "ceiling_nano_usd": approval.cost if approval else None,
        "kept": None if job.kept is None else dict(job.kept),
        **_ended(paid_by, end),
    }


def _ended(paid_by: str | None, end: EndedJob | None) -> dict[str, Any]:
    """How a row ends that needs no weighing; what was paid for is answered, whatever was decided since."""
    if paid_by:
        return ending_columns(answered_before()) | {"attempt_id": paid_by}
    if end is None:
        return {}
    return ending_columns(end.ending) | {"attempt_id": end.attempt_id}


def _rejected_row(run_id: RunId, row: RejectedRow) -> dict[str, Any]:
    ending = rejected_ending(Reason.INVALID_ROW, printable(f"{row.column}: {row.reason}"))
    return _EMPTY_ROW | {
        "run_id": run_id,
        "row_number": row.row_number,
        "job_id": row.job_id,
        "fingerprint": row.fingerprint,
        "kept": None if row.kept is None else dict(row.kept),
        **ending_columns(ending),
    }


def next_row(ledger: Ledger, run_id: RunId) -> int:
    """The number of the row after the last of a run."""
    with ledger.read() as connection:
        last = connection.scalar(select(func.max(JobRow.row_number)).where(JobRow.run_id == run_id))
    return 0 if last is None else last + 1


def shards(ledger: Ledger, run_id: RunId, size: int) -> list[Shard]:
    """The undecided rows of a run, in shards of at most `size` jobs and SHARD_BYTES of payload."""
    found: list[Shard] = []
    with ledger.read() as connection:
        rows = connection.execution_options(yield_per=10_000).execute(
            select(JobRow.row_number, JobRow.payload_bytes)
            .where(JobRow.run_id == run_id, *QUEUED)
            .order_by(JobRow.row_number)
        )
        first = last = count = weight = 0
        for row_number, payload_bytes in rows:
            if count and (count == size or weight + payload_bytes > SHARD_BYTES):
                found.append(Shard(first, last))
                count = weight = 0
            first = row_number if count == 0 else first
            last, count, weight = row_number, count + 1, weight + payload_bytes
        if count:
            found.append(Shard(first, last))
    return found


def of_shard(ledger: Ledger, run_id: RunId, shard: Shard) -> list[tuple[QueuedJob, str]]:
    """The shard's jobs without an outcome, each with its payload as JSON."""
    query = (
        select(*QUEUED_COLUMNS, PayloadRow.body)
        .join(PayloadRow, (PayloadRow.run_id == JobRow.run_id) & (PayloadRow.row_number == JobRow.row_number))
        .where(JobRow.run_id == run_id, JobRow.row_number.between(shard.first, shard.last), *QUEUED)
        .order_by(JobRow.row_number)
    )
    with ledger.read() as connection:
        return [(queued(row), row.body) for row in connection.execute(query)]


def queued(row: Any) -> QueuedJob:
    """The job in a row that begins with QUEUED_COLUMNS."""
    values = list(row[: len(QUEUED_COLUMNS)])
    values[_TRAITS] = Traits.from_json(values[_TRAITS])
    return QueuedJob(*values)


def next_in_queue(
    ledger: Ledger,
    run_id: RunId,
    size: int,
    without: Collection[str] = (),
    without_prefixes: Collection[str] = (),
) -> list[QueuedJob]:
    """The first jobs to give money to, by priority, then by prefix and row: at most `size`, and SHARD_BYTES of payload.

    Args:
        ledger: the ledger.
        run_id: the run.
        size: at most this many jobs.
        without: groups whose jobs are passed over.
        without_prefixes: shared prefixes whose jobs are passed over.
    """
    query = (
        select(*QUEUED_COLUMNS)
        .where(JobRow.run_id == run_id, *QUEUED)
        .order_by(JobRow.priority.desc(), JobRow.prefix_key, JobRow.row_number)
        .limit(size)
    )
    if without:
        query = query.where(JobRow.group_name.is_(None) | JobRow.group_name.not_in(without))
    if without_prefixes:
        query = query.where(JobRow.prefix_key.is_(None) | JobRow.prefix_key.not_in(without_prefixes))
    with ledger.read() as connection:
        first = [queued(row) for row in connection.execute(query)]
    weight = 0
    for index, job in enumerate(first):
        weight += job.payload_bytes
        if index and weight > SHARD_BYTES:
            return first[:index]
    return first


def record(
    ledger: Ledger,
    run_id: RunId,
    updates: Sequence[JobUpdate],
    fits: Sequence[FittedJob] = (),
    fresh: Sequence[TokenCount] = (),
) -> None:
    """Write what is known of rows, in one transaction. A field that is left out keeps what is on record.

    Args:
        ledger: the ledger.
        run_id: the run.
        updates: what is known of them.
        fits: those of them that were brought within their budgets.
        fresh: counts that were made for them.
    """
    if updates:
        with ledger.write() as connection:
            insert_counts(connection, fresh)
            update_rows(connection, run_id, updates)
            fitted.add(connection, run_id, fits)


def requeue_unanswered(ledger: Ledger, run: RunKey, *, expired: bool) -> int:
    """Queue what batches left because its answers were due again; see `outcomes.left_unanswered`; how many rows.

    Raises:
        NotOwner: the run was taken over.
    """
    left = left_unanswered(run.run_id, expired=expired)
    # nobody has to wait for the ledger while a large run is looked through in vain
    with ledger.read() as connection:
        if connection.execute(select(JobRow.row_number).where(*left).limit(1)).first() is None:
            return 0
    with ledger.write() as connection:
        assert_owner(connection, run)
        return requeue(connection, left)


def defer_queue(ledger: Ledger, run_id: RunId, why: Reason) -> None:
    """Defer every job that is still queued: no more may be sent."""
    with ledger.write() as connection:
        end_where(connection, [JobRow.run_id == run_id, *QUEUED], stopped_before_decision(why))
