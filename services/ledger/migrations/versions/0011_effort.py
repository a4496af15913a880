"""Attempts state the effort and the thinking budget that their payload asked for, so that answers at one are compared."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_JOBS = sa.table(
    "jobs", sa.column("run_id"), sa.column("row_number"), sa.column("traits", sa.JSON(none_as_null=True))
)
_ATTEMPTS = sa.table(
    "attempts",
    sa.column("run_id"),
    sa.column("row_number"),
    sa.column("effort", sa.String(20)),
    sa.column("thinking_budget", sa.BigInteger()),
)


def upgrade() -> None:
    op.add_column("attempts", sa.Column("effort", sa.String(20), nullable=True))
    op.add_column("attempts", sa.Column("thinking_budget", sa.BigInteger(), nullable=True))
    _fill_from_jobs()
    op.drop_index("ix_attempts_observed", table_name="attempts")
    op.create_index(
        "ix_attempts_observed",
        "attempts",
        ["model", "payload_class", "effort", "ended_at"],
        sqlite_where=sa.text("state = 'succeeded'"),
        postgresql_where=sa.text("state = 'succeeded'"),
    )


def _fill_from_jobs() -> None:
    """Give the attempts of earlier versions what their jobs asked for; else all of them would count as without effort."""
    effort = _JOBS.c.traits["effort"].as_string()
    budget = _JOBS.c.traits["thinking_budget"].as_integer()
    its_job = sa.and_(_JOBS.c.run_id == _ATTEMPTS.c.run_id, _JOBS.c.row_number == _ATTEMPTS.c.row_number)
    asks = sa.or_(effort.is_not(None), budget.is_not(None))
    op.execute(
        sa.update(_ATTEMPTS)
        .where(sa.exists().where(its_job, asks))
        .values(
            effort=sa.select(effort).where(its_job).scalar_subquery(),
            thinking_budget=sa.select(budget).where(its_job).scalar_subquery(),
        )
    )
