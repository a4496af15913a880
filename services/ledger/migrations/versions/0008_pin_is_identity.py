"""The model belongs to what an attempt is of: a job that is pinned to another model is another job."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_LIVE = sa.text("state IN ('open', 'succeeded')")
_ANSWERED = sa.text("state = 'succeeded'")


def upgrade() -> None:
    op.drop_index("uq_attempts_live", table_name="attempts")
    op.create_index(
        "uq_attempts_live",
        "attempts",
        ["fingerprint", "job_id", "model"],
        unique=True,
        sqlite_where=_LIVE,
        postgresql_where=_LIVE,
    )
    op.create_index(
        "ix_attempts_answered",
        "attempts",
        ["job_id"],
        sqlite_where=_ANSWERED,
        postgresql_where=_ANSWERED,
    )
