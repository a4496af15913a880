"""Rows that get the answer of another row with the same payload, and whose groups bear what it costs."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_QUEUED = sa.text("outcome IS NULL AND attempt_id IS NULL AND shares_with_row IS NULL")
_SHARES = sa.text("shares_with_row IS NOT NULL")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("shares_with_row", sa.BigInteger(), nullable=True))
    op.add_column("attempts", sa.Column("split_jobs", sa.Integer(), nullable=True))
    op.create_table(
        "cost_shares",
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.Column("group_name", sa.String(100), nullable=False),
        sa.Column("jobs", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", "group_name", name=op.f("pk_cost_shares")),
    )
    op.create_table(
        "shared_answers",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "fingerprint", "attempt_id", name=op.f("pk_shared_answers")),
    )
    op.create_index("ix_shared_answers_attempt_id", "shared_answers", ["attempt_id"])
    # who shares is not in the queue
    op.drop_index("ix_jobs_queue", table_name="jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["run_id", sa.text("priority DESC"), "row_number"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    op.create_index(
        "ix_jobs_shares",
        "jobs",
        ["run_id", "shares_with_row"],
        sqlite_where=_SHARES,
        postgresql_where=_SHARES,
    )
