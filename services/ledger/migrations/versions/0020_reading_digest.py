"""What a run reads its rows from and how, to know the same rows again."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("runs", sa.Column("reading_digest", sa.String(64), nullable=True))
    op.create_index(
        "ix_runs_reading_digest",
        "runs",
        ["reading_digest"],
        sqlite_where=sa.text("reading_digest IS NOT NULL"),
        postgresql_where=sa.text("reading_digest IS NOT NULL"),
    )
