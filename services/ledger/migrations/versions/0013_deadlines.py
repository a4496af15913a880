"""Deadlines: when the answers of a run are due, what goes out for that at full price, and which batches were stopped."""

import sqlalchemy as sa
from alembic import op

from schemas.table import UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.add_column("runs", sa.Column("deadline_at", UtcDateTime()))
    op.add_column("attempts", sa.Column("deadline", sa.String(20)))
    op.add_column("batches", sa.Column("cancel_asked_at", UtcDateTime()))
