"""Reviews with claims, ceilings, edits and a history of their own; their payloads apart."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from schemas.table import UtcDateTime

revision = "0004"
down_revision = "0003"

#: what a review had before
_KEPT = (
    "id, job_id, run_id, reason, detail, status, model, input_tokens, limit_tokens, group_name, created_at, "
    "decided_by, decided_at, note, worst_case_nano_usd, limit_nano_usd, row_number, fingerprint"
)


def upgrade() -> None:
    # SQLite cannot add a check to a table, so it is made anew on both databases
    op.drop_index("ix_reviews_run_id", "reviews")
    op.drop_index("ix_reviews_status_created_at", "reviews")
    op.rename_table("reviews", "reviews_before")
    if op.get_bind().dialect.name == "postgresql":
        for name in ("pk_reviews", "uq_reviews_job_id_fingerprint"):
            op.execute(f"ALTER INDEX {name} RENAME TO {name}_before")
    _create_reviews()
    # whoever decided in plain SQL may have left no name
    op.execute(
        "UPDATE reviews_before SET decided_by = 'unknown' "
        "WHERE status IN ('approved', 'rejected', 'edited') AND coalesce(trim(decided_by), '') = ''"
    )
    op.execute("UPDATE reviews_before SET status = 'pending' WHERE status IN ('claimed', 'edited')")
    op.execute(f"INSERT INTO reviews ({_KEPT}) SELECT {_KEPT} FROM reviews_before")  # noqa: S608 - names of ours
    op.execute("INSERT INTO review_payloads (review_id, payload) SELECT id, payload FROM reviews_before")
    op.drop_table("reviews_before")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('reviews', 'id'), coalesce(max(id), 1)) FROM reviews"
        )
    for name, columns in {
        "ix_reviews_run_id": ["run_id"],
        "ix_reviews_fingerprint": ["fingerprint"],
        "ix_reviews_status": ["status"],
    }.items():
        op.create_index(name, "reviews", columns)
    op.create_table(
        "review_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("review_id", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=100), nullable=True),
        sa.Column("from_status", sa.String(length=20), nullable=True),
        sa.Column("to_status", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("ceiling_tokens", sa.BigInteger(), nullable=True),
        sa.Column("ceiling_nano_usd", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_events")),
    )
    op.create_index("ix_review_events_review_id", "review_events", ["review_id"])


def _usd(name: str) -> sa.Column[Any]:
    computed = sa.Computed(f"{name}_nano_usd / 1000000000.0", persisted=True)
    return sa.Column(f"{name}_usd", sa.Numeric(precision=20, scale=9), computed, nullable=True)


def _create_reviews() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("would_pass", sa.Text(), nullable=True),
        sa.Column("status", sa.String(length=20), server_default="pending", nullable=False),
        sa.Column("model", sa.String(length=100), nullable=True),
        sa.Column("payload_class", sa.String(length=20), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("limit_tokens", sa.BigInteger(), nullable=True),
        sa.Column("max_tokens", sa.BigInteger(), nullable=True),
        _usd("worst_case"),
        _usd("limit"),
        sa.Column("group_name", sa.String(length=100), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("claimed_by", sa.String(length=100), nullable=True),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=100), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("ceiling_tokens", sa.BigInteger(), nullable=True),
        _usd("ceiling"),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("sent_run_id", sa.String(length=64), nullable=True),
        sa.Column("sent_attempt_id", sa.String(length=64), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.Column("worst_case_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("limit_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("ceiling_nano_usd", sa.BigInteger(), nullable=True),
        sa.Column("pinned_model", sa.String(length=100), nullable=True),
        sa.Column("priority", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("edited_fingerprint", sa.String(length=64), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'claimed', 'approved', 'rejected', 'edited', 'sent', 'expired')",
            name=op.f("ck_reviews_status_is_known"),
        ),
        sa.CheckConstraint(
            "NOT (status IN ('approved', 'rejected', 'edited')) "
            "OR (decided_by IS NOT NULL AND trim(decided_by) <> '')",
            name=op.f("ck_reviews_a_decision_has_a_name"),
        ),
        sa.CheckConstraint(
            "status <> 'claimed' OR (claimed_by IS NOT NULL AND trim(claimed_by) <> '')",
            name=op.f("ck_reviews_a_claim_has_a_name"),
        ),
        sa.CheckConstraint(
            "status <> 'edited' OR edited_fingerprint IS NOT NULL",
            name=op.f("ck_reviews_an_edit_has_a_payload"),
        ),
        sa.CheckConstraint(
            "ceiling_nano_usd >= 0 AND ceiling_tokens >= 0", name=op.f("ck_reviews_ceilings_are_not_negative")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name=op.f("fk_reviews_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        sa.UniqueConstraint("job_id", "fingerprint", name=op.f("uq_reviews_job_id_fingerprint")),
    )
    op.create_table(
        "review_payloads",
        sa.Column("review_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("edited_payload", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_review_payloads_review_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_review_payloads")),
    )
