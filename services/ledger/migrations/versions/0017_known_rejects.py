"""Rows that an earlier run rejected are found by what they are."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    rejected = sa.text("outcome = 'rejected' AND fingerprint IS NOT NULL")
    op.create_index(
        "ix_jobs_rejected", "jobs", ["fingerprint"], sqlite_where=rejected, postgresql_where=rejected
    )
