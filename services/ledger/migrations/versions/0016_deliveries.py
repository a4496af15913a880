"""Deliveries: by which an attempt left, so that it leaves once, and whether the workers of a run are to send no more."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("sent_by", sa.String(32)))
    op.add_column("runs", sa.Column("halted", sa.String(40)))
