"""Deliveries on record: what workers are to send, whether they still may, and what they left."""

from collections.abc import Sequence

from sqlalchemy import func, select, update

from schemas.attempt import Expectation, HeldAttempt
from schemas.job import AttemptId, RunId
from schemas.ledger import AttemptRow, JobRow, PayloadRow, RunRow
from schemas.outcome import AttemptState, Method, Reason
from schemas.payload.traits import Traits
from schemas.run import RunKey
from services.ledger import leases
from services.ledger.settle import end_open_attempts
from services.ledger.store import Ledger


def unsent(ledger: Ledger, run: RunKey, attempts: Sequence[AttemptId]) -> list[HeldAttempt]:
    """Those of these attempts of a run that are open and have not left, with all that sending them needs.

    Marks of shared prefixes are not among it: a run with them sends by itself.
    """
    sent = func.coalesce(PayloadRow.pruned_body, PayloadRow.body).label("payload")
    query = (
        select(
            AttemptRow.attempt_id,
            AttemptRow.row_number,
            AttemptRow.job_id,
            AttemptRow.model,
            AttemptRow.group_name,
            AttemptRow.input_tokens,
            AttemptRow.method,
            AttemptRow.max_tokens,
            AttemptRow.worst_case_nano_usd,
            JobRow.traits,
            JobRow.cache_ttl,
            JobRow.payload_bytes,
            sent,
        )
        .join(JobRow, (JobRow.run_id == AttemptRow.run_id) & (JobRow.row_number == AttemptRow.row_number))
        .join(PayloadRow, (PayloadRow.run_id == JobRow.run_id) & (PayloadRow.row_number == JobRow.row_number))
        .where(
            AttemptRow.attempt_id.in_(attempts),
            AttemptRow.run_id == run.run_id,
            AttemptRow.state == AttemptState.OPEN,
            AttemptRow.sent_at.is_(None),
        )
    )
    with ledger.read() as connection:
        found = connection.execute(query).all()
    held = {
        row.attempt_id: HeldAttempt(
            attempt_id=row.attempt_id,
            row_number=row.row_number,
            job_id=row.job_id,
            model=row.model,
            payload=row.payload,
            traits=Traits.from_json(row.traits),
            cache_ttl=row.cache_ttl,
            group=row.group_name,
            payload_bytes=row.payload_bytes,
            expects=Expectation(
                counted=row.input_tokens,
                is_counted=row.method == Method.COUNTED,
                max_tokens=row.max_tokens,
                worst_case=row.worst_case_nano_usd,
            ),
        )
        for row in found
    }
    return [held[one] for one in attempts if one in held]


def still_out(ledger: Ledger, attempts: Sequence[AttemptId]) -> int:
    """How many of these attempts have left and have not ended."""
    query = select(func.count(AttemptRow.attempt_id)).where(
        AttemptRow.attempt_id.in_(attempts),
        AttemptRow.state == AttemptState.OPEN,
        AttemptRow.sent_at.is_not(None),
    )
    with ledger.read() as connection:
        return connection.scalar(query) or 0


def end_left(ledger: Ledger, run: RunKey, attempts: Sequence[AttemptId]) -> int:
    """End those of these attempts that lost workers left open, as after a crash; how many.

    What left is of unknown outcome and keeps its hold until an answer comes after all; what did not leave is given back.

    Raises:
        NotOwner: the run was taken over, and whoever has it ends them.
    """
    with ledger.read() as connection:
        query = select(AttemptRow.attempt_id).where(
            AttemptRow.attempt_id.in_(attempts), AttemptRow.state == AttemptState.OPEN
        )
        if connection.execute(query.limit(1)).first() is None:
            return 0
    with ledger.write() as connection:
        leases.assert_owner(connection, run)
        return len(end_open_attempts(connection, run.run_id, attempts))


def halt(ledger: Ledger, run: RunKey, reason: Reason) -> None:
    """Have the workers of a run send no more: each looks at that now and then."""
    with ledger.write() as connection:
        connection.execute(
            update(RunRow)
            .where(RunRow.run_id == run.run_id, RunRow.owner == run.owner, RunRow.halted.is_(None))
            .values(halted=reason)
        )


def why_halted(ledger: Ledger, run: RunKey) -> Reason | None:
    """Why the workers of a run are to send no more; None: they may.

    A run that has ended, is not on record or has another owner is taken over, as far as they are concerned.
    """
    query = select(RunRow.halted).where(
        RunRow.run_id == run.run_id, RunRow.owner == run.owner, RunRow.ended_at.is_(None)
    )
    with ledger.read() as connection:
        found = connection.execute(query).first()
    if found is None:
        return Reason.TAKEN_OVER
    return None if found.halted is None else Reason(found.halted)


def pins(ledger: Ledger, run_id: RunId) -> list[str]:
    """The models that jobs of a run are pinned to."""
    query = (
        select(JobRow.pinned_model)
        .where(JobRow.run_id == run_id, JobRow.pinned_model.is_not(None))
        .distinct()
        .order_by(JobRow.pinned_model)
    )
    with ledger.read() as connection:
        return [pin for pin in connection.scalars(query) if pin is not None]
