"""Runs on record: beginning, staying alive, ending, and what to do about one that died."""

import os
import socket
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from sqlalchemy import Connection, func, insert, select, update

from rules.endings import interrupted_before_decision
from schemas.errors import BadInput
from schemas.job import RunId
from schemas.ledger import AttemptRow, BatchRow, JobRow, RunRow
from schemas.outcome import AttemptState, BatchState, RunOutcome
from schemas.run import NewRun, RunOnRecord
from services.ledger import reviews, settle
from services.ledger.batches import OPEN_STATES
from services.ledger.outcomes import end_where
from services.ledger.store import Ledger
from services.ledger.windows import one_at_a_time

#: a run of another machine counts as dead when its heart has not beaten for so long
DEAD_AFTER = timedelta(minutes=10)


def begin(ledger: Ledger, run: NewRun) -> None:
    """Put a run on record.

    Raises:
        BadInput: the ledger holds real runs and this one is simulated, or the other way round.
    """
    now = datetime.now(UTC)
    with ledger.write() as connection:
        other = connection.scalar(select(RunRow.run_id).where(RunRow.simulated != run.simulated).limit(1))
        if other:
            kind, this = ("real", "simulated") if run.simulated else ("simulated", "real")
            raise BadInput(
                f"The ledger {ledger.url} holds {kind} runs (such as {other}) and this run is {this}. "
                "Answers and money of the two must not mix: name another ledger with --ledger. Nothing was sent."
            )
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
                host=socket.gethostname(),
                pid=os.getpid(),
                process_started=int(psutil.Process().create_time()),
                started_at=run.started_at or now,
                heartbeat_at=now,
            )
        )


def beat(ledger: Ledger, run_id: RunId) -> None:
    """Say that the run is alive."""
    with ledger.write() as connection:
        connection.execute(
            update(RunRow).where(RunRow.run_id == run_id).values(heartbeat_at=datetime.now(UTC))
        )


def finish(ledger: Ledger, run_id: RunId, outcome: RunOutcome, report: dict[str, Any]) -> None:
    """Put the end of a run that went through on record; its payloads are needed no more."""
    with ledger.write() as connection:
        reviews.drop_payloads(connection, run_id)
        connection.execute(
            update(RunRow)
            .where(RunRow.run_id == run_id)
            .values(ended_at=datetime.now(UTC), outcome=outcome, report=report)
        )


def _fail(connection: Connection, run_id: str) -> None:
    """End a run as failed, unless somebody has finished it meanwhile."""
    connection.execute(
        update(RunRow)
        .where(RunRow.run_id == run_id, RunRow.ended_at.is_(None))
        .values(ended_at=datetime.now(UTC), outcome=RunOutcome.FAILED)
    )


def close_dead_runs(ledger: Ledger) -> list[str]:
    """Close the books of runs whose process is gone, as far as they can be; the ids of those runs.

    What was held but never sent is released; what was sent without an answer is unknown and keeps its hold; rows
    that nothing is in flight for are deferred to the next run over the same input. What went out in a provider
    batch is left open, and a run that made one is left to be finished: see `take_over`.
    """
    dead = _dead(ledger)
    for run in dead:
        with ledger.write() as connection:
            left = close_books(connection, run.run_id, review_unknown=_parks_unknown(run))
            made = connection.scalar(select(func.count()).where(BatchRow.run_id == run.run_id))
            if not left and not made:
                _fail(connection, run.run_id)
    return [run.run_id for run in dead]


def close_early(ledger: Ledger, run_id: RunId, *, review_unknown: bool) -> int:
    """Close the books of a run that ends early; how many provider batches it leaves behind."""
    with ledger.write() as connection:
        left = close_books(connection, run_id, review_unknown=review_unknown)
        if left:
            # from here on nobody's: whoever collects may take it over
            connection.execute(update(RunRow).where(RunRow.run_id == run_id).values(process_started=0))
        else:
            _fail(connection, run_id)
    return left


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
    end_where(connection, [JobRow.run_id == run_id, ~flying.exists()], interrupted_before_decision())
    reviews.drop_payloads(connection, run_id)
    left = (
        select(func.count(AttemptRow.batch_id.distinct()))
        .join(JobRow, JobRow.attempt_id == AttemptRow.attempt_id)
        .where(JobRow.run_id == run_id, JobRow.outcome.is_(None))
    )
    return connection.scalar(left) or 0


def close_own_books(ledger: Ledger, run_id: str, *, review_unknown: bool) -> int:
    """As `close_books`, in a transaction of its own."""
    with ledger.write() as connection:
        return close_books(connection, run_id, review_unknown=review_unknown)


def take_over(ledger: Ledger) -> list[RunOnRecord]:
    """The unended runs whose process is gone, now this process's to finish. A run goes to one taker only."""
    taken = []
    for run in _dead(ledger):
        with ledger.write() as connection:
            claimed = connection.execute(
                update(RunRow)
                .where(
                    RunRow.run_id == run.run_id,
                    RunRow.ended_at.is_(None),
                    RunRow.pid == run.pid,
                    RunRow.process_started == run.process_started,
                )
                .values(
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    process_started=int(psutil.Process().create_time()),
                    heartbeat_at=datetime.now(UTC),
                )
            )
        if claimed.rowcount:
            taken.append(run)
    return taken


def let_go(ledger: Ledger, run_id: RunId) -> None:
    """Give a run that cannot be finished yet back to whoever collects next."""
    with ledger.write() as connection:
        connection.execute(update(RunRow).where(RunRow.run_id == run_id).values(process_started=0))


def _dead(ledger: Ledger) -> list[RunOnRecord]:
    with ledger.read() as connection:
        unended = [
            _on_record(row) for row in connection.execute(select(*_COLUMNS).where(RunRow.ended_at.is_(None)))
        ]
    return [run for run in unended if not _alive(run)]


def _parks_unknown(run: RunOnRecord) -> bool:
    return bool(run.policy.get("on_unknown", "review") == "review")


def _alive(run: RunOnRecord) -> bool:
    if run.host != socket.gethostname():
        return bool(datetime.now(UTC) - run.heartbeat_at < DEAD_AFTER)
    try:
        return bool(abs(psutil.Process(run.pid).create_time() - run.process_started) < 2)
    except psutil.NoSuchProcess:
        return False


def find(ledger: Ledger, run_id: str | None = None) -> RunOnRecord | None:
    """The named run, or, without a name, the one begun last."""
    query = select(*_COLUMNS).order_by(RunRow.started_at.desc()).limit(1)
    if run_id:
        query = select(*_COLUMNS).where(RunRow.run_id == run_id)
    with ledger.read() as connection:
        row = connection.execute(query).first()
    return None if row is None else _on_record(row)


_COLUMNS = tuple(getattr(RunRow, one.name) for one in fields(RunOnRecord))


def _on_record(row: Any) -> RunOnRecord:
    return RunOnRecord(*row)
