"""The ledger's first tables and its reconciliation view."""

import sqlalchemy as sa
from alembic import op

from schemas.table import UtcDateTime

revision = "0001"
down_revision = None

# Estimate beside actual, one row per job that was paid for. USD is a reading of nano-USD.
RECONCILIATION = """
CREATE VIEW reconciliation AS
SELECT run_id, job_id, model,
       input_tokens AS estimated_input_tokens,
       actual_input_tokens,
       actual_output_tokens,
       expected_nano_usd / 1000000000.0 AS estimated_usd,
       actual_nano_usd / 1000000000.0 AS actual_usd,
       expected_nano_usd AS estimated_nano_usd,
       actual_nano_usd
FROM attempts
WHERE state = 'succeeded'
"""


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("period", sa.String(length=100), nullable=False),
        sa.Column("cap_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("held_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("settled_nano_usd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("held_nano_usd >= 0", name=op.f("ck_budgets_held_is_not_negative")),
        sa.CheckConstraint("settled_nano_usd >= 0", name=op.f("ck_budgets_settled_is_not_negative")),
        sa.PrimaryKeyConstraint("scope", "period", name=op.f("pk_budgets")),
    )
    op.create_table(
        "counts",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column("counted_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "model", name=op.f("pk_counts")),
    )
    op.create_table(
        "payloads",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("row_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "row_number", name=op.f("pk_payloads")),
    )
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("jobs_path", sa.Text(), nullable=False),
        sa.Column("results_path", sa.Text(), nullable=False),
        sa.Column("policy_name", sa.String(length=100), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("prefect_flow_run_id", sa.String(length=64), nullable=True),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("process_started", sa.BigInteger(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("heartbeat_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_runs")),
    )
    op.create_table(
        "attempts",
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=True),
        sa.Column("budget_day", sa.String(length=10), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("input_bound", sa.BigInteger(), nullable=False),
        sa.Column("max_tokens", sa.BigInteger(), nullable=False),
        sa.Column("expected_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("worst_case_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("held_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("actual_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=True),
        sa.Column("actual_output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("actual_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("usage", sa.JSON(), nullable=True),
        sa.Column("stop_reason", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "held_nano_usd = 0 OR state IN ('open', 'unknown')",
            name=op.f("ck_attempts_an_ended_attempt_holds_nothing"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'succeeded', 'failed', 'unknown')", name=op.f("ck_attempts_state_is_known")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_attempts_run_id")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_attempts")),
    )
    op.create_index("ix_attempts_fingerprint_job_id", "attempts", ["fingerprint", "job_id"], unique=False)
    op.create_index("ix_attempts_run_id_state", "attempts", ["run_id", "state"], unique=False)
    op.create_index(
        "uq_attempts_live",
        "attempts",
        ["fingerprint", "job_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('open', 'succeeded')"),
        postgresql_where=sa.text("state IN ('open', 'succeeded')"),
    )
    op.create_table(
        "jobs",
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("row_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("group_name", sa.String(length=100), nullable=True),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("pinned_model", sa.String(length=100), nullable=True),
        sa.Column("max_tokens", sa.BigInteger(), nullable=True),
        sa.Column("own_max_input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("own_max_cost_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("cache_ttl", sa.String(length=2), nullable=True),
        sa.Column("payload_bytes", sa.BigInteger(), nullable=True),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=True),
        sa.Column("expected_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("worst_case_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("decision", sa.String(length=20), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("attempt_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_jobs_run_id")),
        sa.PrimaryKeyConstraint("run_id", "row_number", name=op.f("pk_jobs")),
    )
    op.create_index("ix_jobs_attempt_id", "jobs", ["attempt_id"], unique=False)
    op.create_index("ix_jobs_run_id_job_id", "jobs", ["run_id", "job_id"], unique=False)
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=20), server_default="pending", nullable=False),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("limit_tokens", sa.BigInteger(), nullable=True),
        sa.Column(
            "worst_case_usd",
            sa.Numeric(precision=20, scale=9),
            sa.Computed("worst_case_nano_usd / 1000000000.0", persisted=True),
            nullable=True,
        ),
        sa.Column(
            "limit_usd",
            sa.Numeric(precision=20, scale=9),
            sa.Computed("limit_nano_usd / 1000000000.0", persisted=True),
            nullable=True,
        ),
        sa.Column("group_name", sa.String(length=100), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=100), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("worst_case_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("limit_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'claimed', 'approved', 'rejected', 'edited', 'sent', 'expired')",
            name=op.f("ck_reviews_status_is_known"),
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_reviews_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("job_id", "fingerprint", name=op.f("uq_reviews_job_id_fingerprint")),
    )
    op.create_index("ix_reviews_run_id", "reviews", ["run_id"], unique=False)
    op.create_index("ix_reviews_status_created_at", "reviews", ["status", "created_at"], unique=False)
    op.create_table(
        "responses",
        sa.Column("attempt_id", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attempt_id"], ["attempts.attempt_id"], name=op.f("fk_responses_attempt_id")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_responses")),
    )
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["run_id", sa.text("priority DESC"), "row_number"],
        unique=False,
        sqlite_where=sa.text("outcome IS NULL AND attempt_id IS NULL"),
        postgresql_where=sa.text("outcome IS NULL AND attempt_id IS NULL"),
    )

    op.execute(RECONCILIATION)
