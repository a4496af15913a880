"""Jobs that were over a budget and were brought within it, and what is sent of a pruned conversation."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("payloads", sa.Column("pruned_body", sa.Text(), nullable=True))
    op.create_table(
        "fitted_jobs",
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("how", sa.String(20), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("model_before", sa.String(100), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("turns_before", sa.BigInteger(), nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens_before", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("expected_before_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("expected_nano_usd", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "row_number", name=op.f("pk_fitted_jobs")),
    )
