"""Prefixes that jobs of a run share, the marks that their attempts were sent with, and the queue in their order."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_QUEUED = sa.text("outcome IS NULL AND attempt_id IS NULL AND shares_with_row IS NULL")


def upgrade() -> None:
    op.create_table(
        "cache_prefixes",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("prefix_key", sa.String(64), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("ends_at", sa.String(40), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.Column("prime_ttl", sa.String(2), nullable=False),
        sa.Column("ttl", sa.String(2), nullable=False),
        sa.Column("low_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("high_nano_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "prefix_key", name=op.f("pk_cache_prefixes")),
    )
    op.add_column("jobs", sa.Column("prefix_key", sa.String(64), nullable=True))
    op.add_column("attempts", sa.Column("prefix_key", sa.String(64), nullable=True))
    op.add_column("attempts", sa.Column("cache_ttl", sa.String(2), nullable=True))
    op.add_column("attempts", sa.Column("is_prime", sa.Boolean(), nullable=True))
    op.drop_index("ix_jobs_queue", table_name="jobs")
    op.create_index(
        "ix_jobs_queue",
        "jobs",
        ["run_id", sa.text("priority DESC"), "prefix_key", "row_number"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
