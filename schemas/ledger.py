"""The ledger's tables. Money is whole nano-USD; a column that ends in `_usd` is a reading of one, for people.

runs ─┬─ jobs ── payloads      one row per input row; its payload only until the row has ended
      ├─ batches               one provider Message Batch of many attempts
      ├─ attempts ── responses  one paid try; its hold, then its bill; the answer until it is published
      └─ budgets                settled + held of each window
reviews ─┬─ review_payloads     jobs that wait for a person; what they would send
         └─ review_events       each change of one
counts                          the provider's counts, by payload and model
history                         what was paid for, by day, of attempts that were pruned
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from schemas.outcome import DECIDED_STATUSES, ReviewStatus


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no zone, so it is taken off going in and put back coming out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, int: BigInteger}  # noqa: RUF012


class RunRow(Table):
    """One run over one input."""

    __tablename__ = "runs"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    jobs_path: Mapped[str] = mapped_column(Text)
    results_path: Mapped[str] = mapped_column(Text)
    policy_name: Mapped[str] = mapped_column(String(100))
    policy: Mapped[dict[str, Any]]
    mode: Mapped[str] = mapped_column(String(20))
    endpoint: Mapped[str] = mapped_column(Text)
    simulated: Mapped[bool]
    prefect_flow_run_id: Mapped[str | None] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    process_started: Mapped[int]
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    report: Mapped[dict[str, Any] | None]


class JobRow(Table):
    """One row of a run's input, from reading to its one outcome."""

    __tablename__ = "jobs"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    job_id: Mapped[str | None] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(String(64))
    group_name: Mapped[str | None] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(default=0)
    pinned_model: Mapped[str | None] = mapped_column(String(100))
    max_tokens: Mapped[int | None]
    own_max_input_tokens: Mapped[int | None]
    own_max_cost_nano_usd: Mapped[int | None]
    cache_ttl: Mapped[str | None] = mapped_column(String(2))
    #: what the rules and prices ask about the payload; see `schemas.payload.traits`
    traits: Mapped[dict[str, Any] | None]
    #: the review whose approval lets it pass, and how far
    review_id: Mapped[int | None] = mapped_column(Integer)
    ceiling_tokens: Mapped[int | None]
    ceiling_nano_usd: Mapped[int | None]
    payload_bytes: Mapped[int | None]
    model: Mapped[str | None] = mapped_column(String(100))
    input_tokens: Mapped[int | None]
    method: Mapped[str | None] = mapped_column(String(20))
    expected_nano_usd: Mapped[int | None]
    worst_case_nano_usd: Mapped[int | None]
    decision: Mapped[str | None] = mapped_column(String(20))
    outcome: Mapped[str | None] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(40))
    detail: Mapped[str | None] = mapped_column(Text)
    attempt_id: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index("ix_jobs_run_id_job_id", "run_id", "job_id"),
        Index("ix_jobs_attempt_id", "attempt_id"),
        # the queue: what is still to be decided or sent, in the order money is given out
        Index(
            "ix_jobs_queue",
            "run_id",
            text("priority DESC"),
            "row_number",
            sqlite_where=text("outcome IS NULL AND attempt_id IS NULL"),
            postgresql_where=text("outcome IS NULL AND attempt_id IS NULL"),
        ),
    )


class PayloadRow(Table):
    """The payload of a job that has not ended yet, as JSON."""

    __tablename__ = "payloads"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = mapped_column(Text)


class CountRow(Table):
    """What the provider counted for a payload under a model. A second night costs no calls."""

    __tablename__ = "counts"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    input_tokens: Mapped[int]
    method: Mapped[str] = mapped_column(String(20))
    counted_at: Mapped[datetime]


class BudgetRow(Table):
    """One window of money: a scope ("run", "day", "month"), a period of it (the run id, the date, the month) and a group of jobs, or "" for all of them. At every instant settled + held is at most the cap of whoever takes a hold."""

    __tablename__ = "budgets"

    scope: Mapped[str] = mapped_column(String(20), primary_key=True)
    period: Mapped[str] = mapped_column(String(100), primary_key=True)
    group_name: Mapped[str] = mapped_column(String(100), primary_key=True, server_default="")
    cap_nano_usd: Mapped[int | None]
    held_nano_usd: Mapped[int] = mapped_column(default=0)
    settled_nano_usd: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        CheckConstraint("held_nano_usd >= 0", name="held_is_not_negative"),
        CheckConstraint("settled_nano_usd >= 0", name="settled_is_not_negative"),
    )


class AttemptRow(Table):
    """One paid try at one job. In the ledger before its bytes leave."""

    __tablename__ = "attempts"

    attempt_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    row_number: Mapped[int]
    job_id: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64))
    group_name: Mapped[str | None] = mapped_column(String(100))
    #: the provider batch it went out in, in batches mode
    batch_id: Mapped[str | None] = mapped_column(String(64))
    #: the budget day its hold was taken on, in the policy's time zone
    budget_day: Mapped[str] = mapped_column(String(10))
    model: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    payload_class: Mapped[str] = mapped_column(String(20), server_default="text")
    method: Mapped[str] = mapped_column(String(20), server_default="counted")
    input_tokens: Mapped[int]
    input_bound: Mapped[int]
    max_tokens: Mapped[int]
    expected_nano_usd: Mapped[int]
    #: the range that the expected cost lies in by what was observed; None while too little was
    expected_low_nano_usd: Mapped[int | None]
    expected_high_nano_usd: Mapped[int | None]
    worst_case_nano_usd: Mapped[int]
    #: what is still held for it: the worst case while open or unknown, else 0
    held_nano_usd: Mapped[int]
    opened_at: Mapped[datetime]
    #: set before the first byte may leave
    sent_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    actual_input_tokens: Mapped[int | None]
    cache_write_tokens: Mapped[int | None]
    #: the part of the writes that lives an hour
    cache_write_1h_tokens: Mapped[int | None]
    cache_read_tokens: Mapped[int | None]
    actual_output_tokens: Mapped[int | None]
    #: the part of the output that was thinking
    thinking_tokens: Mapped[int | None]
    web_searches: Mapped[int | None]
    #: as the answer's usage reports them
    service_tier: Mapped[str | None] = mapped_column(String(40))
    inference_geo: Mapped[str | None] = mapped_column(String(40))
    #: whether the usage says all that was billed; see `schemas.outcome.Billing`
    billing: Mapped[str | None] = mapped_column(String(20))
    actual_nano_usd: Mapped[int | None]
    usage: Mapped[dict[str, Any] | None]
    stop_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("state IN ('open', 'succeeded', 'failed', 'unknown')", name="state_is_known"),
        CheckConstraint(
            "held_nano_usd = 0 OR state IN ('open', 'unknown')", name="an_ended_attempt_holds_nothing"
        ),
        # nothing is paid twice: the same job with the same payload is in flight or done at most once
        Index(
            "uq_attempts_live",
            "fingerprint",
            "job_id",
            unique=True,
            sqlite_where=text("state IN ('open', 'succeeded')"),
            postgresql_where=text("state IN ('open', 'succeeded')"),
        ),
        Index("ix_attempts_fingerprint_job_id", "fingerprint", "job_id"),
        Index("ix_attempts_run_id_state", "run_id", "state"),
        Index("ix_attempts_batch_id", "batch_id"),
        # what was observed last of a model and a class of payloads
        Index(
            "ix_attempts_observed",
            "model",
            "payload_class",
            "ended_at",
            sqlite_where=text("state = 'succeeded'"),
            postgresql_where=text("state = 'succeeded'"),
        ),
        Index("ix_attempts_ended_at", "ended_at"),
    )


class BatchRow(Table):
    """One provider Message Batch. On record before it is created, and found again if its creation brought no answer."""

    __tablename__ = "batches"

    batch_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    provider_batch_id: Mapped[str | None] = mapped_column(String(100), unique=True)
    state: Mapped[str] = mapped_column(String(20))
    requests: Mapped[int]
    request_bytes: Mapped[int]
    prepared_at: Mapped[datetime]
    #: since when nobody is creating it any more without its creation having brought an answer
    doubtful_since: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    request_counts: Mapped[dict[str, Any] | None]
    detail: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("state IN ('prepared', 'submitted', 'ended', 'absent')", name="state_is_known"),
        Index("ix_batches_run_id_state", "run_id", "state"),
    )


class ResponseRow(Table):
    """The answer to a succeeded attempt, as the API gave it: written in the transaction that settles it."""

    __tablename__ = "responses"

    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempts.attempt_id"), primary_key=True)
    body: Mapped[str] = mapped_column(Text)


REVIEW_STATUSES = tuple(ReviewStatus)


def _one_of(column: str, values: Iterable[StrEnum]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


class ReviewRow(Table):
    """A job that waits for a person: why, how heavy, how dear, what would let it pass, and what was decided."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    reason: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text)
    #: what would let it pass, one sentence a line
    would_pass: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), server_default=ReviewStatus.PENDING)
    model: Mapped[str | None] = mapped_column(String(100))
    payload_class: Mapped[str | None] = mapped_column(String(20))
    method: Mapped[str | None] = mapped_column(String(20))
    input_tokens: Mapped[int | None]
    limit_tokens: Mapped[int | None]
    max_tokens: Mapped[int | None]
    worst_case_usd: Mapped[Decimal | None] = mapped_column(
        Numeric(20, 9), Computed("worst_case_nano_usd / 1000000000.0", persisted=True)
    )
    limit_usd: Mapped[Decimal | None] = mapped_column(
        Numeric(20, 9), Computed("limit_nano_usd / 1000000000.0", persisted=True)
    )
    group_name: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(100))
    decided_at: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(Text)
    #: how far an approval reaches: the job is sent only while its fresh figures are within both, and until then
    ceiling_tokens: Mapped[int | None]
    ceiling_usd: Mapped[Decimal | None] = mapped_column(
        Numeric(20, 9), Computed("ceiling_nano_usd / 1000000000.0", persisted=True)
    )
    expires_at: Mapped[datetime | None]
    #: the run and the attempt that sent it
    sent_run_id: Mapped[str | None] = mapped_column(String(64))
    sent_attempt_id: Mapped[str | None] = mapped_column(String(64))
    #: grows with every change: who read an older one may not write
    version: Mapped[int] = mapped_column(server_default="1")
    worst_case_nano_usd: Mapped[int | None]
    limit_nano_usd: Mapped[int | None]
    ceiling_nano_usd: Mapped[int | None]
    pinned_model: Mapped[str | None] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(server_default="0")
    row_number: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(64))
    #: of what a person made of it, to be sent in its place
    edited_fingerprint: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        UniqueConstraint("job_id", "fingerprint"),
        CheckConstraint(_one_of("status", REVIEW_STATUSES), name="status_is_known"),
        CheckConstraint(
            f"NOT ({_one_of('status', DECIDED_STATUSES)}) OR (decided_by IS NOT NULL AND trim(decided_by) <> '')",
            name="a_decision_has_a_name",
        ),
        CheckConstraint(
            f"status <> '{ReviewStatus.CLAIMED}' OR (claimed_by IS NOT NULL AND trim(claimed_by) <> '')",
            name="a_claim_has_a_name",
        ),
        CheckConstraint(
            f"status <> '{ReviewStatus.EDITED}' OR edited_fingerprint IS NOT NULL",
            name="an_edit_has_a_payload",
        ),
        CheckConstraint("ceiling_nano_usd >= 0 AND ceiling_tokens >= 0", name="ceilings_are_not_negative"),
        # nothing more: each further index costs a decision about a whole night more than it spares a list
        Index("ix_reviews_status", "status"),
        Index("ix_reviews_fingerprint", "fingerprint"),
        Index("ix_reviews_run_id", "run_id"),
    )


class ReviewPayloadRow(Table):
    """What a review is about, as JSON. Apart, so that rows of `reviews` are small: deciding rewrites them, lists read them."""

    __tablename__ = "review_payloads"

    review_id: Mapped[int] = mapped_column(
        Integer, ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    #: the job's own
    payload: Mapped[str | None] = mapped_column(Text)
    #: what a person made of it, to be sent in its place
    edited_payload: Mapped[str | None] = mapped_column(Text)


class ReviewEventRow(Table):
    """One change of a review: who, when, from what to what, and why."""

    __tablename__ = "review_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    review_id: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    #: the person's name, or the run's id
    by: Mapped[str | None] = mapped_column("changed_by", String(100))
    from_status: Mapped[str | None] = mapped_column(String(20))
    to_status: Mapped[str] = mapped_column(String(20))
    note: Mapped[str | None] = mapped_column(Text)
    ceiling_tokens: Mapped[int | None]
    ceiling_nano_usd: Mapped[int | None]

    __table_args__ = (Index("ix_review_events_review_id", "review_id"),)


class HistoryRow(Table):
    """What was paid for on one UTC day, of attempts that were pruned: their sums, so that no money is forgotten."""

    __tablename__ = "history"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    service_tier: Mapped[str] = mapped_column(String(40), primary_key=True)
    group_name: Mapped[str] = mapped_column(String(100), primary_key=True)
    payload_class: Mapped[str] = mapped_column(String(20), primary_key=True)
    jobs: Mapped[int]
    estimated_input_tokens: Mapped[int]
    actual_input_tokens: Mapped[int]
    cache_write_tokens: Mapped[int]
    cache_write_1h_tokens: Mapped[int]
    cache_read_tokens: Mapped[int]
    actual_output_tokens: Mapped[int]
    thinking_tokens: Mapped[int]
    web_searches: Mapped[int]
    worst_case_nano_usd: Mapped[int]
    expected_nano_usd: Mapped[int]
    actual_nano_usd: Mapped[int]
