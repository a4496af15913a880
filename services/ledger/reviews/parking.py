"""Parking: jobs that must wait for a person go into the review table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, delete, exists, func, not_, or_, select
from sqlalchemy.orm import aliased

from rules.limits import tighter
from rules.raw_answer import unknown_advice
from rules.waits_again import BY_FIGURES
from schemas.job import RunId
from schemas.ledger import AttemptRow, CountRow, JobRow, PayloadRow, ResponseRow
from schemas.outcome import LETS_PASS, WAITING_STATUSES, AttemptState, Outcome, Reason, ReviewStatus
from schemas.review import JobLimits, ParkedJob
from schemas.review_tables import ReviewPayloadRow, ReviewRow
from services.ledger.jobs import QUEUED_COLUMNS, queued
from services.ledger.pages import PAGE
from services.ledger.reviews.reading import in_doubt, is_over_ceiling
from services.ledger.store import Ledger, upsert
from services.ledger.windows import one_at_a_time

#: what would bring a job within its limits, one sentence a line, or None when nothing is known that would
Advise = Callable[[ParkedJob], str | None]

#: something came for an attempt of unknown outcome at the job, and could not be read
_HAS_RAW = exists().where(
    AttemptRow.job_id == JobRow.job_id,
    AttemptRow.fingerprint.in_([JobRow.fingerprint, ReviewRow.fingerprint]),
    AttemptRow.state == AttemptState.UNKNOWN,
    ResponseRow.attempt_id == AttemptRow.attempt_id,
)
#: what a row would send that was weighed by what is on record of it, and has no payload of its own
_ITS_REVIEW, _WITH_ITS_REVIEW = aliased(ReviewRow), aliased(ReviewPayloadRow)
_COLUMNS = (
    *QUEUED_COLUMNS,
    JobRow.priority,
    JobRow.worst_case_nano_usd,
    JobRow.reason,
    JobRow.detail,
    PayloadRow.body.label("own_body"),
    _WITH_ITS_REVIEW.payload.label("body_of_review"),
    ReviewRow.fingerprint.label("review_fingerprint"),
    _HAS_RAW.label("has_raw"),
)


@dataclass(frozen=True, slots=True)
class _Parking:
    """What one parking is about.

    Attributes:
        knows_less: than an earlier run whose advice for the same reason is on record, and stays.
    """

    run_id: str
    outcome: Outcome
    limits: JobLimits
    advise: Advise
    knows_less: bool = False


def park_over_budget(
    ledger: Ledger,
    run_id: RunId,
    policy_limits: JobLimits,
    advise: Advise = lambda _: None,
    *,
    knows_less: bool = False,
) -> int:
    """Put the run's jobs whose outcome is `review` into the review table; how many they are.

    Args:
        ledger: the ledger.
        run_id: the run.
        policy_limits: what its policy allows any one job.
        advise: what would let a job pass.
        knows_less: than an earlier run, whose advice for the same reason stays.
    """
    return _park(ledger, _Parking(run_id, Outcome.REVIEW, policy_limits, advise, knows_less))


def park_of_unknown_outcome(
    ledger: Ledger, run_id: RunId, policy_limits: JobLimits, advise: Advise = lambda _: None
) -> int:
    """Put the run's jobs whose attempt may have been billed into the review table; how many they are."""
    return _park(ledger, _Parking(run_id, Outcome.UNKNOWN, policy_limits, advise))


def _park(ledger: Ledger, parking: _Parking) -> int:
    parked, after = 0, -1
    while True:
        with ledger.write() as connection:
            # else two that write many reviews in orders of their own could wait for each other for ever
            one_at_a_time(connection)
            last = _park_page(connection, parking, after)
        if last is None:
            return parked
        count, after = last
        parked += count


def park_unknown(connection: Connection, run_id: str) -> None:
    """As `park_of_unknown_outcome`, inside the caller's transaction."""

    def advise(parked: ParkedJob) -> str:
        return unknown_advice(has_raw=parked.has_raw)

    _park_all(connection, _Parking(run_id, Outcome.UNKNOWN, JobLimits(None, None), advise))


def park_left(connection: Connection, run_id: str, policy_limits: JobLimits, advise: Advise) -> None:
    """Put the jobs of a dead run whose outcome is `review` into the review table, inside the caller's transaction.

    Its file may never be read again, so nobody else would. What an earlier run advised for the same reason stays: it
    could ask which models there are.
    """
    _park_all(connection, _Parking(run_id, Outcome.REVIEW, policy_limits, advise, knows_less=True))


def _park_all(connection: Connection, parking: _Parking) -> None:
    """Park all jobs that a parking is about, inside the caller's transaction."""
    after = -1
    while last := _park_page(connection, parking, after):
        after = last[1]


def _park_page(connection: Connection, parking: _Parking, after: int) -> tuple[int, int] | None:
    """Park the next page of jobs after a row; how many, and the last row, or None at the end."""
    query = (
        select(*_COLUMNS)
        .outerjoin(
            PayloadRow, (PayloadRow.run_id == JobRow.run_id) & (PayloadRow.row_number == JobRow.row_number)
        )
        .outerjoin(_ITS_REVIEW, _is_of_row_without_payload())
        .outerjoin(_WITH_ITS_REVIEW, _WITH_ITS_REVIEW.review_id == _ITS_REVIEW.id)
        .outerjoin(ReviewRow, ReviewRow.id == JobRow.review_id)
        .where(
            JobRow.run_id == parking.run_id,
            JobRow.outcome == parking.outcome,
            or_(PayloadRow.body.is_not(None), _WITH_ITS_REVIEW.payload.is_not(None)),
            JobRow.row_number > after,
            # a person decides once about what several jobs share
            JobRow.shares_with_row.is_(None),
        )
        .order_by(JobRow.row_number)
        .limit(PAGE)
    )
    rows = connection.execute(query).all()
    if not rows:
        return None
    counted: dict[str, dict[str, int]] = {}
    on_record = select(CountRow.fingerprint, CountRow.model, CountRow.input_tokens)
    for fingerprint, model, tokens in connection.execute(
        on_record.where(CountRow.fingerprint.in_([row.fingerprint for row in rows]))
    ):
        counted.setdefault(fingerprint, {})[model] = tokens
    now = datetime.now(UTC)
    values = [_values(row, parking, counted.get(row.fingerprint, {}), now) for row in rows]
    _upsert(connection, values, keeps_advice=parking.knows_less)
    _keep_payloads(connection, parking.run_id, [row for row in rows if row.own_body is not None])
    return len(rows), rows[-1].row_number


def _is_of_row_without_payload() -> ColumnElement[bool]:
    """Whether a review is that of a row which was parked by its figures alone, from what an earlier run had read."""
    return and_(
        PayloadRow.body.is_(None),
        JobRow.reason.in_(BY_FIGURES),
        JobRow.model.is_not(None),
        JobRow.review_id.is_(None),
        _ITS_REVIEW.job_id == JobRow.job_id,
        _ITS_REVIEW.fingerprint == JobRow.fingerprint,
    )


def _values(row: Row[Any], parking: _Parking, counted: Mapping[str, int], now: datetime) -> dict[str, Any]:
    reason = row.reason or Reason.UNKNOWN_OUTCOME
    job = queued(row)
    body = row.body_of_review if row.own_body is None else row.own_body
    parked = ParkedJob(job, reason, row.worst_case_nano_usd, body, counted, row.has_raw)
    fingerprint = _fingerprint(row)
    limits = tighter(parking.limits, job)
    return {
        "job_id": row.job_id,
        "run_id": parking.run_id,
        "row_number": row.row_number,
        "fingerprint": fingerprint,
        "edited_fingerprint": row.fingerprint if row.fingerprint != fingerprint else None,
        "reason": reason,
        "detail": row.detail or "",
        "would_pass": parking.advise(parked),
        "status": ReviewStatus.PENDING,
        "model": row.model,
        "method": row.method,
        "payload_class": job.traits.payload_class,
        "input_tokens": row.input_tokens,
        "max_tokens": row.max_tokens,
        "limit_tokens": limits.tokens,
        "limit_nano_usd": limits.cost,
        "worst_case_nano_usd": row.worst_case_nano_usd,
        "group_name": row.group_name,
        "priority": row.priority,
        "pinned_model": row.pinned_model,
        "created_at": now,
    }


def _fingerprint(row: Row[Any]) -> str:
    """An approved job belongs to the review that approved it, also when what was sent is an edit of its payload."""
    return str(row.review_fingerprint or row.fingerprint)


_FRESH = (
    "run_id", "row_number", "edited_fingerprint", "model", "method", "payload_class", "input_tokens", "max_tokens",
    "limit_tokens", "limit_nano_usd", "worst_case_nano_usd", "group_name", "priority", "pinned_model",
)  # fmt: skip
#: what a review says of its job; of an attempt that may have been billed it is said until that is known
_SAID = ("reason", "detail", "would_pass")


def _upsert(connection: Connection, values: Sequence[dict[str, Any]], *, keeps_advice: bool) -> None:
    """One row per job and payload. What a person has decided stays; what still waits is brought up to date.

    A claim stays with who has it. An approval that has expired, or whose ceiling the job outgrew, waits again, and so
    does what was decided about another model than the one that the job is pinned to by now. A review of an attempt that
    may have been billed goes on saying so, whatever else keeps the job back meanwhile.
    """
    statement = upsert(connection, ReviewRow)
    fresh = statement.excluded
    # by the payload and the ceilings that a person may have decided on since
    outgrown = and_(
        _is(*LETS_PASS),
        fresh.reason == Reason.OVER_CEILING,
        fresh.edited_fingerprint.is_not_distinct_from(ReviewRow.edited_fingerprint),
        is_over_ceiling(fresh.input_tokens, fresh.worst_case_nano_usd),
    )
    repinned = and_(
        _is(*LETS_PASS, ReviewStatus.REJECTED),
        fresh.pinned_model.is_not(None),
        fresh.pinned_model.is_distinct_from(func.coalesce(ReviewRow.pinned_model, ReviewRow.model)),
    )
    # nobody may have marked it as expired yet
    lapsed = and_(_is(*LETS_PASS), ReviewRow.expires_at <= fresh.created_at)
    waits = _is(*WAITING_STATUSES)
    says_so = and_(
        ReviewRow.reason == Reason.UNKNOWN_OUTCOME,
        fresh.reason != Reason.UNKNOWN_OUTCOME,
        in_doubt(ReviewRow.fingerprint, ReviewRow.edited_fingerprint),
    )
    said: dict[str, Any] = {name: fresh[name] for name in _SAID}
    if keeps_advice:
        kept = func.coalesce(ReviewRow.would_pass, fresh.would_pass)
        said["would_pass"] = case((ReviewRow.reason == fresh.reason, kept), else_=fresh.would_pass)
    # its figures, and what is sent when it is approved, are the edit's
    edit_in_doubt = and_(
        fresh.edited_fingerprint.is_distinct_from(ReviewRow.edited_fingerprint),
        in_doubt(ReviewRow.edited_fingerprint),
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["job_id", "fingerprint"],
            set_={name: fresh[name] for name in _FRESH}
            | {name: case((says_so, getattr(ReviewRow, name)), else_=value) for name, value in said.items()}
            | {
                "status": case(
                    (ReviewRow.status == ReviewStatus.CLAIMED, ReviewStatus.CLAIMED),
                    else_=ReviewStatus.PENDING,
                ),
                "created_at": case((waits, ReviewRow.created_at), else_=fresh.created_at),
            },
            where=and_(
                or_(waits, _is(ReviewStatus.SENT, ReviewStatus.EXPIRED), lapsed, outgrown, repinned),
                not_(edit_in_doubt),
            ),
        ),
        values,
    )


def _keep_payloads(connection: Connection, run_id: str, rows: Sequence[Row[Any]]) -> None:
    """Keep the payloads of what was put into the table or brought up to date; of what is decided, they stay."""
    query = select(ReviewRow.job_id, ReviewRow.fingerprint, ReviewRow.id).where(
        ReviewRow.fingerprint.in_([_fingerprint(row) for row in rows]),
        ReviewRow.run_id == run_id,
        ReviewRow.status.in_(WAITING_STATUSES),
    )
    ids = {(job_id, fingerprint): number for job_id, fingerprint, number in connection.execute(query)}
    values = [
        _payloads_of(row, ids[row.job_id, _fingerprint(row)])
        for row in rows
        if (row.job_id, _fingerprint(row)) in ids
    ]
    if not values:
        return
    statement = upsert(connection, ReviewPayloadRow)
    payload = func.coalesce(statement.excluded.payload, ReviewPayloadRow.payload)
    edited = statement.excluded.edited_payload
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["review_id"],
            set_={"payload": payload, "edited_payload": edited},
            # most nights the same: then nothing is written
            where=or_(
                payload.is_distinct_from(ReviewPayloadRow.payload),
                edited.is_distinct_from(ReviewPayloadRow.edited_payload),
            ),
        ),
        values,
    )


def _payloads_of(row: Row[Any], review_id: int) -> dict[str, Any]:
    """A job's payload, where it belongs: under an edit, what the run has is the edit."""
    kept = {"review_id": review_id, "payload": row.own_body, "edited_payload": None}
    if _fingerprint(row) != row.fingerprint:
        kept |= {"payload": None, "edited_payload": row.own_body}
    return kept


def _is(*statuses: str) -> ColumnElement[bool]:
    # an IN cannot be prepared once for many rows
    return or_(*(ReviewRow.status == status for status in statuses))


def drop_payloads(ledger: Ledger, run_id: str) -> None:
    """Forget the payloads of a run's rows that have their outcome; a job in review keeps its own copy.

    In many small transactions: neither the memory it takes, nor the time that others wait, grows with the run. Stopped
    at any instant, it has dropped a part, and whoever closes the run, or prunes, drops the rest.
    """
    row, after = PayloadRow.row_number, -1
    ended = exists().where(
        JobRow.run_id == PayloadRow.run_id, JobRow.row_number == row, JobRow.outcome.is_not(None)
    )
    while True:
        rest = and_(PayloadRow.run_id == run_id, row > after)
        with ledger.write() as connection:
            end = connection.scalar(select(row).where(rest).order_by(row).offset(PAGE - 1).limit(1))
            piece = rest if end is None else and_(rest, row <= end)
            connection.execute(delete(PayloadRow).where(piece, ended))
        if end is None:
            return
        after = end
