"""A ledger counts its days in one time zone: that of the run that was begun last."""

import sqlalchemy as sa
from alembic import op

from schemas.table import UtcDateTime

revision = "0019"
down_revision = "0018"

_RUNS = sa.table("runs", sa.column("policy", sa.JSON), sa.column("started_at", UtcDateTime))


def upgrade() -> None:
    zones = op.create_table(
        "day_zones",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("time_zone", sa.String(100), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_day_zones")),
    )
    last = sa.select(_RUNS).order_by(_RUNS.c.started_at.desc()).limit(1)
    if (run := op.get_bind().execute(last).first()) is not None:
        # a policy that does not name one counts in UTC
        zone = (run.policy or {}).get("time_zone") or "UTC"
        op.bulk_insert(zones, [{"time_zone": zone, "since": run.started_at}])
