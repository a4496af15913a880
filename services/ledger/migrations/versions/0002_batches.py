"""Message Batches: the batches themselves, and which attempt went out in which."""

import sqlalchemy as sa
from alembic import op

from schemas.table import UtcDateTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("batch_id", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("provider_batch_id", sa.String(length=100), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("request_bytes", sa.BigInteger(), nullable=False),
        sa.Column("prepared_at", UtcDateTime(), nullable=False),
        sa.Column("doubtful_since", UtcDateTime(), nullable=True),
        sa.Column("submitted_at", UtcDateTime(), nullable=True),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("request_counts", sa.JSON(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('prepared', 'submitted', 'ended', 'absent')", name=op.f("ck_batches_state_is_known")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_batches_run_id")),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batches")),
        sa.UniqueConstraint("provider_batch_id", name=op.f("uq_batches_provider_batch_id")),
    )
    op.create_index("ix_batches_run_id_state", "batches", ["run_id", "state"])
    op.add_column("attempts", sa.Column("batch_id", sa.String(length=64), nullable=True))
    op.create_index("ix_attempts_batch_id", "attempts", ["batch_id"])
