"""Rates of accounts, which processes lease blocks of."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "allowances",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("limit_name", sa.String(150), nullable=False),
        sa.Column("next_turn_us", sa.BigInteger(), nullable=False),
        sa.Column("paused_until_us", sa.BigInteger(), nullable=False),
        sa.Column("stated", sa.JSON(), nullable=False),
        sa.Column("taken", sa.JSON(), nullable=False),
        sa.Column("holdings", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account", "limit_name", name=op.f("pk_allowances")),
    )
