"""Runs on record: beginning, staying alive, ending, and what to do about one that died."""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
from sqlalchemy import Connection, insert, select, update

from schemas.errors import BadInput
from schemas.job import RunId
from schemas.ledger import JobRow, RunRow
from schemas.outcome import Decision, Outcome, Reason, RunOutcome
from services.ledger import reviews, settling
from services.ledger.store import Ledger

#: a run of another machine counts as dead when its heart has not beaten for so long
DEAD_AFTER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known of a run at its beginning."""

    run_id: RunId
    jobs_path: str
    results_path: str
    policy: dict[str, Any]
    mode: str
    endpoint: str
    simulated: bool
    prefect_flow_run_id: str | None


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
                started_at=now,
                heartbeat_at=now,
            )
        )


def beat(ledger: Ledger, run_id: RunId) -> None:
    """Say that the run is alive."""
    with ledger.write() as connection:
        connection.execute(
            update(RunRow).where(RunRow.run_id == run_id).values(heartbeat_at=datetime.now(UTC))
        )


def end(ledger: Ledger, run_id: RunId, outcome: RunOutcome, report: dict[str, Any] | None) -> None:
    """Put the run's end on record."""
    with ledger.write() as connection:
        _end(connection, run_id, outcome, report)


def finish(ledger: Ledger, run_id: RunId, outcome: RunOutcome, report: dict[str, Any]) -> None:
    """Put the end of a run that went through on record; its payloads are needed no more."""
    with ledger.write() as connection:
        reviews.drop_payloads(connection, run_id)
        _end(connection, run_id, outcome, report)


def _end(connection: Connection, run_id: str, outcome: RunOutcome, report: dict[str, Any] | None) -> None:
    connection.execute(
        update(RunRow)
        .where(RunRow.run_id == run_id)
        .values(ended_at=datetime.now(UTC), outcome=outcome, report=report)
    )


def bury_the_dead(ledger: Ledger, *, review_unknown: bool) -> list[str]:
    """Close the books of runs whose process is gone; the ids of those runs.

    What was held but never sent is released; what was sent without an answer is unknown and keeps its hold; rows
    without an outcome are deferred to the next run over the same input.
    """
    with ledger.read() as connection:
        unended = connection.execute(select(RunRow).where(RunRow.ended_at.is_(None))).all()
    dead = [row.run_id for row in unended if not _alive(row)]
    for run_id in dead:
        with ledger.write() as connection:
            close_books(connection, run_id, review_unknown=review_unknown)
            _end(connection, run_id, RunOutcome.FAILED, None)
    return dead


def close_books(connection: Connection, run_id: str, *, review_unknown: bool) -> None:
    """Give every row of an interrupted run its outcome and every open attempt its end."""
    settling.end_open_attempts(connection, run_id)
    if review_unknown:
        reviews.park_unknown(connection, run_id)
    connection.execute(
        update(JobRow)
        .where(JobRow.run_id == run_id, JobRow.outcome.is_(None))
        .values(
            decision=Decision.DEFER,
            outcome=Outcome.DEFERRED,
            reason=Reason.INTERRUPTED,
            detail="the run was interrupted before this job was decided; the next run takes it up",
            attempt_id=None,
        )
    )
    reviews.drop_payloads(connection, run_id)


def _alive(run: Any) -> bool:
    if run.host != socket.gethostname():
        return bool(datetime.now(UTC) - run.heartbeat_at < DEAD_AFTER)
    try:
        return bool(abs(psutil.Process(run.pid).create_time() - run.process_started) < 2)
    except psutil.NoSuchProcess:
        return False


def latest(ledger: Ledger, run_id: str | None = None) -> RunRow | None:
    """The named run, or the one begun last."""
    query = select(RunRow).order_by(RunRow.started_at.desc()).limit(1)
    if run_id:
        query = select(RunRow).where(RunRow.run_id == run_id)
    with ledger.read() as connection:
        return connection.execute(query).first()  # type: ignore[return-value]  # a Row with the same attributes
