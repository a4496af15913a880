"""Quotes: what a job file would cost, kept before anything is spent, and the run that was held to one."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "quotes",
        sa.Column("quote_id", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("jobs_path", sa.Text, nullable=False),
        sa.Column("jobs_digest", sa.String(64), nullable=False),
        sa.Column("policy_digest", sa.String(64), nullable=False),
        sa.Column("prices_digest", sa.String(64), nullable=False),
        sa.Column("mode", sa.String(20), nullable=False),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sa.Column("expected_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("p10_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("p90_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("worst_case_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
    )
    op.add_column("runs", sa.Column("quote_id", sa.String(64)))
