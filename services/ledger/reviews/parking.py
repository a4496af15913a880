"""Parking: jobs that must wait for a person go into the review table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.job import RunId
from schemas.ledger import JobRow, PayloadRow, ReviewRow
from schemas.money import NanoUsd
from schemas.outcome import Outcome, Reason
from services.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits in force for one job, which the review shows beside its weight and price."""

    tokens: int | None
    cost: NanoUsd | None


_COLUMNS = (
    JobRow.row_number,
    JobRow.job_id,
    JobRow.fingerprint,
    JobRow.group_name,
    JobRow.model,
    JobRow.input_tokens,
    JobRow.worst_case_nano_usd,
    JobRow.own_max_input_tokens,
    JobRow.own_max_cost_nano_usd,
    JobRow.reason,
    JobRow.detail,
    PayloadRow.body,
)
_PAGE = 500


def park_over_budget(ledger: Ledger, run_id: RunId, policy_limits: Limits) -> int:
    """Put the run's jobs whose outcome is `review` into the review table; how many they are."""
    return _park(ledger, run_id, Outcome.REVIEW, policy_limits)


def park_of_unknown_outcome(ledger: Ledger, run_id: RunId, policy_limits: Limits) -> int:
    """Put the run's jobs whose attempt may have been billed into the review table; how many they are."""
    return _park(ledger, run_id, Outcome.UNKNOWN, policy_limits)


def _park(ledger: Ledger, run_id: RunId, outcome: Outcome, limits: Limits) -> int:
    parked, after = 0, -1
    while True:
        with ledger.write() as connection:
            last = _park_page(connection, run_id, (outcome, after), limits)
        if last is None:
            return parked
        count, after = last
        parked += count


def park_unknown(connection: Connection, run_id: str) -> None:
    """As `park_of_unknown_outcome`, inside the caller's transaction."""
    after = -1
    while last := _park_page(connection, run_id, (Outcome.UNKNOWN, after), Limits(None, None)):
        after = last[1]


def _park_page(
    connection: Connection, run_id: str, where: tuple[Outcome, int], limits: Limits
) -> tuple[int, int] | None:
    """Park the next page of jobs after a row; how many, and the last row, or None at the end."""
    outcome, after = where
    query = (
        select(*_COLUMNS)
        .join(PayloadRow, (PayloadRow.run_id == JobRow.run_id) & (PayloadRow.row_number == JobRow.row_number))
        .where(JobRow.run_id == run_id, JobRow.outcome == outcome, JobRow.row_number > after)
        .order_by(JobRow.row_number)
        .limit(_PAGE)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    now = datetime.now(UTC)
    values = [
        {
            "job_id": row.job_id,
            "run_id": run_id,
            "row_number": row.row_number,
            "fingerprint": row.fingerprint,
            "reason": row.reason or Reason.UNKNOWN_OUTCOME,
            "detail": row.detail or "",
            "status": "pending",
            "model": row.model,
            "input_tokens": row.input_tokens,
            "limit_tokens": _tighter(row.own_max_input_tokens, limits.tokens),
            "limit_nano_usd": _tighter(row.own_max_cost_nano_usd, limits.cost),
            "worst_case_nano_usd": row.worst_case_nano_usd,
            "group_name": row.group_name,
            "created_at": now,
            "payload": row.body,
        }
        for row in rows
    ]
    _upsert(connection, values)
    return len(rows), rows[-1].row_number


def _tighter(own: int | None, policy: int | None) -> int | None:
    given = [limit for limit in (own, policy) if limit is not None]
    return min(given) if given else None


def _upsert(connection: Connection, values: Sequence[dict[str, object]]) -> None:
    """One row per job and payload. What a person has decided stays; what still waits is brought up to date."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(ReviewRow)
    fresh = statement.excluded
    kept = ("run_id", "row_number", "reason", "detail", "model", "input_tokens")
    limits = ("limit_tokens", "limit_nano_usd", "worst_case_nano_usd", "group_name")
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["job_id", "fingerprint"],
            set_={name: fresh[name] for name in (*kept, *limits)} | {"status": "pending"},
            where=(ReviewRow.status == "pending") | (ReviewRow.status == "sent"),
        ),
        values,
    )


def drop_payloads(connection: Connection, run_id: str) -> None:
    """Forget the payloads of a run's rows that have their outcome; a job in review keeps its own copy."""
    ended = select(JobRow.row_number).where(JobRow.run_id == run_id, JobRow.outcome.is_not(None))
    connection.execute(
        delete(PayloadRow).where(PayloadRow.run_id == run_id, PayloadRow.row_number.in_(ended))
    )
