"""Who owns a run, and how a batch that was given up can be looked for again."""

import sqlalchemy as sa
from alembic import op

from schemas.table import UtcDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    for column in (
        sa.Column("owner", sa.String(64)),
        sa.Column("lease_until", UtcDateTime()),
        sa.Column("boot_id", sa.String(64)),
        sa.Column("pid_namespace", sa.String(64)),
        sa.Column("workspace", sa.String(200)),
        sa.Column("parks_unknown", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("calls", sa.JSON()),
    ):
        op.add_column("runs", column)
    for column in (
        sa.Column("endpoint", sa.Text()),
        sa.Column("workspace", sa.String(200)),
        sa.Column("missing_since", UtcDateTime()),
        sa.Column("given_up_at", UtcDateTime()),
    ):
        op.add_column("batches", column)
    op.create_index("ix_attempts_run_id_row_number", "attempts", ["run_id", "row_number"])
    # what a run of the version before says in its policy
    op.execute(
        'UPDATE runs SET parks_unknown = false WHERE CAST(policy AS TEXT) LIKE \'%"on_unknown": "resend"%\''
    )
