"""The tables of reviews: jobs that wait for a person, what they would send, and each change of one."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from schemas.outcome import DECIDED_STATUSES, ReviewStatus
from schemas.table import Table

REVIEW_STATUSES = tuple(ReviewStatus)


def _one_of(column: str, values: Iterable[StrEnum]) -> str:
    listed = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({listed})"


class ReviewRow(Table):
    """A job that waits for a person: why, how heavy, how dear, what would let it pass, and what was decided."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(Text)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.run_id"))
    reason: Mapped[str] = mapped_column(String(40))
    detail: Mapped[str] = mapped_column(Text)
    #: what would let it pass, one sentence a line
    would_pass: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), server_default=ReviewStatus.PENDING)
    model: Mapped[str | None] = mapped_column(String(100))
    payload_class: Mapped[str | None] = mapped_column(String(20))
    method: Mapped[str | None] = mapped_column(String(20))
    input_tokens: Mapped[int | None]
    limit_tokens: Mapped[int | None]
    max_tokens: Mapped[int | None]
    worst_case_usd: Mapped[Decimal | None] = mapped_column(
        Numeric(20, 9), Computed("worst_case_nano_usd / 1000000000.0", persisted=True)
    )
    limit_usd: Mapped[Decimal | None] = mapped_column(
        Numeric(20, 9), Computed("limit_nano_usd / 1000000000.0", persisted=True)
    )
    group_name: Mapped[str | None] = mapped_column(String(100))
    created_at: Mapped[datetime]
    claimed_by: Mapped[str | None] = mapped_column(String(100))
    claimed_at: Mapped[datetime | None]
    decided_by: Mapped[str | None] = mapped_column(String(100))
    decided_at: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(Text)
    #: how far an approval reaches: the job is sent only while its fresh figures are within both, and until then
    ceiling_tokens: Mapped[int | None]
    ceiling_usd: Mapped[Decimal | None] = mapped_column(
        Numeric(20, 9), Computed("ceiling_nano_usd / 1000000000.0", persisted=True)
    )
    expires_at: Mapped[datetime | None]
    #: the run and the attempt that sent it
    sent_run_id: Mapped[str | None] = mapped_column(String(64))
    sent_attempt_id: Mapped[str | None] = mapped_column(String(64))
    #: grows with every change: who read an older one may not write
    version: Mapped[int] = mapped_column(server_default="1")
    worst_case_nano_usd: Mapped[int | None]
    limit_nano_usd: Mapped[int | None]
    ceiling_nano_usd: Mapped[int | None]
    pinned_model: Mapped[str | None] = mapped_column(String(100))
    priority: Mapped[int] = mapped_column(server_default="0")
    row_number: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(String(64))
    #: of what a person made of it, to be sent in its place
    edited_fingerprint: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        UniqueConstraint("job_id", "fingerprint"),
        CheckConstraint(_one_of("status", REVIEW_STATUSES), name="status_is_known"),
        CheckConstraint(
            f"NOT ({_one_of('status', DECIDED_STATUSES)}) OR (decided_by IS NOT NULL AND trim(decided_by) <> '')",
            name="a_decision_has_a_name",
        ),
        CheckConstraint(
            f"status <> '{ReviewStatus.CLAIMED}' OR (claimed_by IS NOT NULL AND trim(claimed_by) <> '')",
            name="a_claim_has_a_name",
        ),
        CheckConstraint(
            f"status <> '{ReviewStatus.EDITED}' OR edited_fingerprint IS NOT NULL",
            name="an_edit_has_a_payload",
        ),
        CheckConstraint("ceiling_nano_usd >= 0 AND ceiling_tokens >= 0", name="ceilings_are_not_negative"),
        # nothing more: each further index costs a decision about a whole night more than it spares a list
        Index("ix_reviews_status", "status"),
        Index("ix_reviews_fingerprint", "fingerprint"),
        Index("ix_reviews_run_id", "run_id"),
    )


class ReviewPayloadRow(Table):
    """What a review is about, as JSON. Apart, so that rows of `reviews` are small: deciding rewrites them, lists read them."""

    __tablename__ = "review_payloads"

    review_id: Mapped[int] = mapped_column(
        Integer, ForeignKey("reviews.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    #: the job's own
    payload: Mapped[str | None] = mapped_column(Text)
    #: what a person made of it, to be sent in its place
    edited_payload: Mapped[str | None] = mapped_column(Text)


class ReviewEventRow(Table):
    """One change of a review: who, when, from what to what, and why."""

    __tablename__ = "review_events"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    review_id: Mapped[int] = mapped_column(Integer)
    at: Mapped[datetime]
    #: the person's name, or the run's id
    by: Mapped[str | None] = mapped_column("changed_by", String(100))
    from_status: Mapped[str | None] = mapped_column(String(20))
    to_status: Mapped[str] = mapped_column(String(20))
    note: Mapped[str | None] = mapped_column(Text)
    ceiling_tokens: Mapped[int | None]
    ceiling_nano_usd: Mapped[int | None]

    __table_args__ = (Index("ix_review_events_review_id", "review_id"),)
