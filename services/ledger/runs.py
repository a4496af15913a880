"""Runs on record: beginning, ending, and what to do about one whose owner is gone."""

import logging
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from rules.endings import interrupted_before_decision
from schemas.job import RunId
from schemas.ledger import AttemptRow, BatchRow, JobRow, RunRow
from schemas.outcome import AttemptState, BatchState, RunOutcome
from schemas.run import NewRun, RunKey, RunOnRecord
from services.ledger import day_zones, leases, quotes, reviews, settle
from services.ledger.batches import OPEN_STATES
from services.ledger.outcomes import end_where
from services.ledger.reviews.left_advice import left_advice
from services.ledger.shared_answers import end_sharers, remember
from services.ledger.store import Ledger, LedgerUnavailable
from services.ledger.windows import one_at_a_time
from services.this_process import ProcessIdentity, is_surely_gone, this_process

log = logging.getLogger("weighbridge")

#: a run that a version without leases began counts as alive while its heart has beaten within this time
_WITHOUT_LEASE = timedelta(minutes=10)


def begin(ledger: Ledger, run: NewRun) -> None:
    """Put a run on record.

    Raises:
        BadInput: the ledger holds real runs and this one is simulated, or the other way round; or it counts its days in
            another time zone than this run.
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        quotes.assert_same_kind(connection, ledger.url, simulated=run.simulated)
        day_zones.keep_zone(connection, ledger.url, run.time_zone)
        connection.execute(
            insert(RunRow).values(
                run_id=run.run_id,
                jobs_path=run.jobs_path,
                results_path=run.results_path,
                policy_name=run.policy["name"],
                policy=run.policy,
                mode=run.mode,
                endpoint=run.endpoint,
                simulated=run.simulated,
                prefect_flow_run_id=run.prefect_flow_run_id,
                parks_unknown=run.parks_unknown,
                owner=run.owner,
                quote_id=run.quote_id,
                deadline_at=run.deadline_at,
                lease_until=leases.lease_end(connection),
                started_at=run.started_at or now,
                heartbeat_at=leases.database_now(connection),
                **leases.process_columns(this_process()),
            )
        )


def finish(ledger: Ledger, run_id: RunId, outcome: RunOutcome, report: dict[str, Any]) -> None:
    """Put the end of a run that went through on record; its payloads are needed no more."""
    reviews.drop_payloads(ledger, run_id)
    with ledger.write() as connection:
        remember(connection, run_id)
        connection.execute(
            update(RunRow)
            .where(RunRow.run_id == run_id)
            .values(ended_at=datetime.now(UTC), outcome=outcome, report=report)
        )


def close_dead_runs(ledger: Ledger) -> list[str]:
    """Close the books of runs whose owner is gone, as far as they can be; the ids of those runs.

    What was held but never sent is released; what was sent without an answer is unknown and keeps its hold; rows
    that nothing is in flight for are deferred to the next run over the same input. What went out in a provider
    batch is left open. Each run is then nobody's, until it is finished: see `take_over`. One whose books cannot be
    closed stays as it is, and stops no other.
    """
    closed = []
    for run in left_unended(ledger):
        if run.owner is None and run.boot_id is not None:
            # it was given back, and its books are closed
            continue
        try:
            if _close_dead(ledger, run):
                closed.append(str(run.run_id))
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary of a run
            log.error(  # noqa: TRY400 - a traceback may quote a payload
                "The books of %s could not be closed (%s). What it holds stays; the other runs go on.",
                run.run_id,
                type(error).__name__,
            )
    return closed


def _close_dead(ledger: Ledger, run: RunOnRecord) -> bool:
    """Take a run over, close its books and give it back, in one transaction; whether nobody else was quicker."""
    with ledger.write() as connection:
        token = leases.claim(connection, run.run_id, run.owner)
        if token is None:
            return False
        close_books(connection, run.run_id, review_unknown=run.parks_unknown)
        reviews.park_left(connection, run.run_id, *left_advice(ledger, run))
        leases.release(connection, RunKey(run.run_id, token))
    reviews.drop_payloads(ledger, run.run_id)
    return True


def flow_runs_of(ledger: Ledger, run_ids: Sequence[str]) -> list[str]:
    """The Prefect flow runs that showed these runs, but those that show a run which somebody works on, as after a retry."""
    shown = select(RunRow.prefect_flow_run_id).where(RunRow.prefect_flow_run_id.is_not(None))
    at_work = shown.where(RunRow.ended_at.is_(None), RunRow.owner.is_not(None), RunRow.run_id.not_in(run_ids))
    query = shown.where(RunRow.run_id.in_(run_ids), RunRow.prefect_flow_run_id.not_in(at_work)).distinct()
    with ledger.read() as connection:
        return [
            flow_run for flow_run in connection.scalars(query.order_by(query.selected_columns[0])) if flow_run
        ]


def close_own_books(ledger: Ledger, run: RunKey, *, review_unknown: bool) -> int:
    """Close the books of a run for its owner; how many provider batches are left.

    Its payloads stay until what waits for a person is parked with its advice.

    Raises:
        NotOwner: it was taken over, and whoever has it closes them.
    """
    with ledger.write() as connection:
        one_at_a_time(connection)
        leases.assert_owner(connection, run)
        return close_books(connection, run.run_id, review_unknown=review_unknown)


def close_books(connection: Connection, run_id: str, *, review_unknown: bool) -> int:
    """Give every row of an interrupted run its outcome, but those in a provider batch; how many batches are left."""
    one_at_a_time(connection)
    settle.end_open_attempts(connection, run_id)
    # whoever was creating them is gone
    connection.execute(
        update(BatchRow)
        .where(
            BatchRow.run_id == run_id,
            BatchRow.state == BatchState.PREPARED,
            BatchRow.doubtful_since.is_(None),
        )
        .values(doubtful_since=datetime.now(UTC))
    )
    reviews.reopen_unsent(connection, run_id)
    if review_unknown:
        reviews.park_unknown(connection, run_id)
    flying = (
        select(AttemptRow.batch_id)
        .join(BatchRow, BatchRow.batch_id == AttemptRow.batch_id)
        .where(
            AttemptRow.attempt_id == JobRow.attempt_id,
            AttemptRow.state == AttemptState.OPEN,
            BatchRow.state.in_(OPEN_STATES),
        )
    )
    own_way = JobRow.shares_with_row.is_(None)
    end_where(connection, [JobRow.run_id == run_id, own_way, ~flying.exists()], interrupted_before_decision())
    end_sharers(connection, run_id)
    left = (
        select(func.count(AttemptRow.batch_id.distinct()))
        .join(JobRow, JobRow.attempt_id == AttemptRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome.is_(None))
    )
    return connection.scalar(left) or 0


def is_at_work(ledger: Ledger, run_id: RunId) -> bool:
    """Whether a run has not ended and somebody works on it."""
    found = find(ledger, run_id)
    if found is None or found.ended_at is not None:
        return False
    return all(run.run_id != run_id for run in left_unended(ledger))


def take_over(ledger: Ledger, run: RunOnRecord) -> str | None:
    """Make a run that nobody works on this process's to finish; its new fencing token, or None: another was quicker."""
    with ledger.write() as connection:
        return leases.claim(connection, run.run_id, run.owner)


def let_go(ledger: Ledger, run: RunKey) -> None:
    """Give a run that cannot be finished yet back to whoever collects next."""
    with ledger.write() as connection:
        leases.release(connection, run)


def left_unended(ledger: Ledger) -> list[RunOnRecord]:
    """Unended runs that nobody works on: given back, their lease over, or their process surely gone."""
    with ledger.read() as connection:
        rows = connection.execute(
            select(*_COLUMNS, leases.is_over(connection)).where(RunRow.ended_at.is_(None))
        ).all()
    runs = [(_on_record(row[:-1]), bool(row[-1])) for row in rows]
    return [run for run, is_over in runs if (is_over and not _beats_without_lease(run)) or _is_gone(run)]


def _beats_without_lease(run: RunOnRecord) -> bool:
    """Whether a version without leases began the run, and its heart has beaten of late."""
    return run.owner is None and run.boot_id is None and datetime.now(UTC) - run.heartbeat_at < _WITHOUT_LEASE


def _is_gone(run: RunOnRecord) -> bool:
    return is_surely_gone(
        ProcessIdentity(
            host=run.host,
            boot_id=run.boot_id,
            pid_namespace=run.pid_namespace,
            pid=run.pid,
            started=run.process_started,
        )
    )


def find(ledger: Ledger, run_id: str | None = None) -> RunOnRecord | None:
    """The named run, or, without a name, the one begun last."""
    query = select(*_COLUMNS).order_by(RunRow.started_at.desc()).limit(1)
    if run_id is not None:
        query = select(*_COLUMNS).where(RunRow.run_id == run_id)
    with ledger.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _on_record(row)


_COLUMNS = tuple(getattr(RunRow, one.name) for one in fields(RunOnRecord))


def _on_record(row: Any) -> RunOnRecord:
    return RunOnRecord(*row)
