"""The ledger's tables. Money is whole nano-USD; a column that ends in `_usd` is a reading of one, for people.

runs ─┬─ jobs ── payloads      one row per input row; its payload only until the row has ended
      ├─ fitted_jobs           jobs that were brought within a budget, and by what
      ├─ cache_prefixes        beginnings that jobs have in common, marked so that the provider caches them
      ├─ batches               one provider Message Batch of many attempts
      ├─ attempts ── responses  one paid try; its hold, then its bill; the answer until it is published
      │     └─ cost_shares      whose groups bear it, where that is split
      └─ budgets                settled + held of each window
quotes                          what a job file would have cost; a run may be held to one
reviews ─┬─ review_payloads     jobs that wait for a person; what they would send
         └─ review_events       each change of one
counts                          the provider's counts, by payload and model
history                         what was paid for, by day, of attempts that were pruned
shared_answers                  jobs that another job's attempt answered: they are not sent again
day_zones                       the time zone that days and months are of, and since when
allowances                      how much of a rate of an account is used, and by which processes
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.table import THEIR_ID, Table


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
    #: as the API names it: its batches are not to be found from another
    workspace: Mapped[str | None] = mapped_column(String(200))
    simulated: Mapped[bool]
    prefect_flow_run_id: Mapped[str | None] = mapped_column(String(64))
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    process_started: Mapped[int]
    #: the fencing token of whoever may let bytes of the run leave; new at each taking-over; None: nobody's
    owner: Mapped[str | None] = mapped_column(String(64))
    #: by the database's clock: until then the owner counts as alive
    lease_until: Mapped[datetime | None]
    #: what makes pid and process_started mean something: the boot and the pid namespace they are of
    boot_id: Mapped[str | None] = mapped_column(String(64))
    pid_namespace: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(20))
    #: whether an attempt that may have been billed waits for a person
    parks_unknown: Mapped[bool] = mapped_column(default=True)
    #: calls made for it so far, as its owner last said
    calls: Mapped[dict[str, Any] | None]
    #: why its workers are to send no more; None: they may
    halted: Mapped[str | None] = mapped_column(String(40))
    #: the quote that it was held to
    quote_id: Mapped[str | None] = mapped_column(String(64))
    #: when its answers are due; None: its policy names no time
    deadline_at: Mapped[datetime | None]
    #: of what its rows are read from and how; None: it has no job file, or reads a part of it
    reading_digest: Mapped[str | None] = mapped_column(String(64))
    report: Mapped[dict[str, Any] | None]

    __table_args__ = (
        Index(
            "ix_runs_reading_digest",
            "reading_digest",
            sqlite_where=text("reading_digest IS NOT NULL"),
            postgresql_where=text("reading_digest IS NOT NULL"),
        ),
    )


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
    #: texts of the input row that go into the results, by column
    kept: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: the beginning that it shares with other jobs of the run, when that is to be cached
    prefix_key: Mapped[str | None] = mapped_column(String(64))
    #: the row of the same run whose answer it gets, because both have the same payload
    shares_with_row: Mapped[int | None]

    __table_args__ = (
        Index("ix_jobs_run_id_job_id", "run_id", "job_id"),
        Index("ix_jobs_attempt_id", "attempt_id"),
        # rejected rows, to know them again
        Index(
            "ix_jobs_rejected",
            "fingerprint",
            sqlite_where=text("outcome = 'rejected' AND fingerprint IS NOT NULL"),
            postgresql_where=text("outcome = 'rejected' AND fingerprint IS NOT NULL"),
        ),
        # the queue: what is still to be decided or sent, in the order money is given out
        Index(
            "ix_jobs_queue",
            "run_id",
            text("priority DESC"),
            "prefix_key",
            "row_number",
            sqlite_where=text("outcome IS NULL AND attempt_id IS NULL AND shares_with_row IS NULL"),
            postgresql_where=text("outcome IS NULL AND attempt_id IS NULL AND shares_with_row IS NULL"),
        ),
        Index(
            "ix_jobs_shares",
            "run_id",
            "shares_with_row",
            sqlite_where=text("shares_with_row IS NOT NULL"),
            postgresql_where=text("shares_with_row IS NOT NULL"),
        ),
    )


class PayloadRow(Table):
    """The payload of a job that has not ended yet, as JSON."""

    __tablename__ = "payloads"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[str] = mapped_column(Text)
    #: what is sent in its place, when its conversation was pruned
    pruned_body: Mapped[str | None] = mapped_column(Text)


class CountRow(Table):
    """What the provider counted for a payload under a model. A second night costs no calls."""

    __tablename__ = "counts"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(100), primary_key=True)
    input_tokens: Mapped[int]
    method: Mapped[str] = mapped_column(String(20))
    counted_at: Mapped[datetime]


class QuoteRow(Table):
    """What a job file would have cost under a policy, before anything was spent; a run may be held to it."""

    __tablename__ = "quotes"

    quote_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime]
    jobs_path: Mapped[str] = mapped_column(Text)
    #: what it holds for, as SHA-256: the rows, the policy, and the prices of its models
    jobs_digest: Mapped[str] = mapped_column(String(64))
    policy_digest: Mapped[str] = mapped_column(String(64))
    prices_digest: Mapped[str] = mapped_column(String(64))
    mode: Mapped[str] = mapped_column(String(20))
    simulated: Mapped[bool]
    #: that would be sent
    jobs: Mapped[int]
    expected_nano_usd: Mapped[int]
    p10_nano_usd: Mapped[int]
    p90_nano_usd: Mapped[int]
    worst_case_nano_usd: Mapped[int]
    report: Mapped[dict[str, Any]]


class BudgetRow(Table):
    """One window of money: a scope ("run", "day", "month", "deadline"), a period of it (the run id, the date, the month, the moment) and a group of jobs, or "" for all of them. At every instant settled + held is at most the cap of whoever takes a hold."""

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
    #: over how many jobs its cost is split, by group in `cost_shares`; None: its own group bears it
    split_jobs: Mapped[int | None] = mapped_column(Integer)
    #: the budget day its hold was taken on, in the policy's time zone
    budget_day: Mapped[str] = mapped_column(String(10))
    #: the deadline that it goes out for at full price, in UTC, which is the period of a window; None: for none
    deadline: Mapped[str | None] = mapped_column(String(20))
    model: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20))
    payload_class: Mapped[str] = mapped_column(String(20), server_default="text")
    #: what the payload asked for: output_config.effort, and thinking.budget_tokens
    effort: Mapped[str | None] = mapped_column(String(20))
    thinking_budget: Mapped[int | None]
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
    #: the token of whoever let it leave: nobody else may let it leave again; None: it went out in a batch, or not at all
    sent_by: Mapped[str | None] = mapped_column(String(32))
    ended_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    #: the shared prefix that it was marked for, with the life of its entry; and whether others waited for it
    prefix_key: Mapped[str | None] = mapped_column(String(64))
    cache_ttl: Mapped[str | None] = mapped_column(String(2))
    is_prime: Mapped[bool | None]
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
        # nothing is paid twice: the same job with the same payload is in flight or done at most once under a model
        Index(
            "uq_attempts_live",
            "fingerprint",
            "job_id",
            "model",
            unique=True,
            sqlite_where=text("state IN ('open', 'succeeded')"),
            postgresql_where=text("state IN ('open', 'succeeded')"),
        ),
        Index("ix_attempts_fingerprint_job_id", "fingerprint", "job_id"),
        Index("ix_attempts_run_id_state", "run_id", "state"),
        Index("ix_attempts_run_id_row_number", "run_id", "row_number"),
        Index("ix_attempts_batch_id", "batch_id"),
        # what was observed last of a model, a class of payloads and an effort
        Index(
            "ix_attempts_observed",
            "model",
            "payload_class",
            "effort",
            "ended_at",
            sqlite_where=text("state = 'succeeded'"),
            postgresql_where=text("state = 'succeeded'"),
        ),
        # whether a job was answered before, with whatever request
        Index(
            "ix_attempts_answered",
            "job_id",
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
    provider_batch_id: Mapped[str | None] = mapped_column(THEIR_ID, unique=True)
    state: Mapped[str] = mapped_column(String(20))
    #: where it was made
    endpoint: Mapped[str | None] = mapped_column(Text)
    workspace: Mapped[str | None] = mapped_column(String(200))
    requests: Mapped[int]
    request_bytes: Mapped[int]
    prepared_at: Mapped[datetime]
    #: since when nobody is creating it any more without its creation having brought an answer
    doubtful_since: Mapped[datetime | None]
    submitted_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    #: since when the provider says that it has no such batch
    missing_since: Mapped[datetime | None]
    #: when a run asked the provider to stop it, because its answers were due
    cancel_asked_at: Mapped[datetime | None]
    #: when its items were left to a person; it is looked for again while the provider keeps results
    given_up_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    request_counts: Mapped[dict[str, Any] | None]
    detail: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("state IN ('prepared', 'submitted', 'ended', 'absent')", name="state_is_known"),
        Index("ix_batches_run_id_state", "run_id", "state"),
    )


class ResponseRow(Table):
    """The answer to a succeeded attempt, as the API gave it, or what came of an unknown one and cannot be read: written in the transaction that settles it."""

    __tablename__ = "responses"

    attempt_id: Mapped[str] = mapped_column(ForeignKey("attempts.attempt_id"), primary_key=True)
    body: Mapped[str] = mapped_column(Text)


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
