"""What rules, prices and history ask of every payload, and budgets by group."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("traits", sa.JSON(), nullable=True),
        sa.Column("review_id", sa.Integer(), nullable=True),
        sa.Column("ceiling_tokens", sa.BigInteger(), nullable=True),
        sa.Column("ceiling_nano_usd", sa.BigInteger(), nullable=True),
    ):
        op.add_column("jobs", column)
    for column in (
        sa.Column("payload_class", sa.String(length=20), server_default="text", nullable=False),
        sa.Column("method", sa.String(length=20), server_default="counted", nullable=False),
        sa.Column("expected_low_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("expected_high_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("cache_write_1h_tokens", sa.BigInteger(), nullable=True),
        sa.Column("thinking_tokens", sa.BigInteger(), nullable=True),
        sa.Column("web_searches", sa.BigInteger(), nullable=True),
        sa.Column("service_tier", sa.String(length=40), nullable=True),
        sa.Column("inference_geo", sa.String(length=40), nullable=True),
        sa.Column("billing", sa.String(length=20), nullable=True),
    ):
        op.add_column("attempts", column)
    op.create_index(
        "ix_attempts_observed",
        "attempts",
        ["model", "payload_class", "ended_at"],
        sqlite_where=sa.text("state = 'succeeded'"),
        postgresql_where=sa.text("state = 'succeeded'"),
    )
    op.create_index("ix_attempts_ended_at", "attempts", ["ended_at"])
    _give_budgets_a_group()
    op.create_table(
        "history",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("model", sa.String(length=100), nullable=False),
        sa.Column("service_tier", sa.String(length=40), nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.Column("payload_class", sa.String(length=20), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in (
                "jobs",
                "estimated_input_tokens",
                "actual_input_tokens",
                "cache_write_tokens",
                "cache_write_1h_tokens",
                "cache_read_tokens",
                "actual_output_tokens",
                "thinking_tokens",
                "web_searches",
                "worst_case_nano_usd",
                "expected_nano_usd",
                "actual_nano_usd",
            )
        ),
        sa.PrimaryKeyConstraint(
            "day", "model", "service_tier", "group_name", "payload_class", name=op.f("pk_history")
        ),
    )


def _give_budgets_a_group() -> None:
    """SQLite cannot change a primary key, so the table is made anew on both databases."""
    op.rename_table("budgets", "budgets_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX pk_budgets RENAME TO pk_budgets_before")
    op.create_table(
        "budgets",
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column("period", sa.String(length=100), nullable=False),
        sa.Column("group_name", sa.String(length=100), server_default="", nullable=False),
        sa.Column("cap_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("held_nano_usd", sa.BigInteger(), nullable=False),
        sa.Column("settled_nano_usd", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("held_nano_usd >= 0", name=op.f("ck_budgets_held_is_not_negative")),
        sa.CheckConstraint("settled_nano_usd >= 0", name=op.f("ck_budgets_settled_is_not_negative")),
        sa.PrimaryKeyConstraint("scope", "period", "group_name", name=op.f("pk_budgets")),
    )
    same = "scope, period, cap_nano_usd, held_nano_usd, settled_nano_usd"
    op.execute(f"INSERT INTO budgets ({same}) SELECT {same} FROM budgets_before")  # noqa: S608 - names of ours
    op.drop_table("budgets_before")
    # what was held and settled before counts under the windows of its month and its group too
    month = "'month', substr(budget_day, 1, 7)"
    for window, where in (
        (f"{month}, ''", "true"),
        (f"{month}, group_name", "group_name IS NOT NULL"),
        ("'day', budget_day, group_name", "group_name IS NOT NULL"),
        ("'run', run_id, group_name", "group_name IS NOT NULL"),
    ):
        op.execute(
            "INSERT INTO budgets (scope, period, group_name, held_nano_usd, settled_nano_usd) "  # noqa: S608 - of ours
            f"SELECT {window}, sum(held_nano_usd), sum(coalesce(actual_nano_usd, 0)) "
            f"FROM attempts WHERE {where} GROUP BY 1, 2, 3"
        )
