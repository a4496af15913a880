"""The tables of what a run does to save: jobs brought within budgets, shared prefixes, and shared answers."""

from sqlalchemy import Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.table import Table


class CachePrefixRow(Table):
    """A beginning that jobs of a run have in common under one model, marked so that the provider caches it."""

    __tablename__ = "cache_prefixes"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    prefix_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(100))
    #: "tools", "system/0" or "messages/0/1": the block that it ends with
    ends_at: Mapped[str] = mapped_column(String(40))
    input_tokens: Mapped[int]
    jobs: Mapped[int]
    #: life of the entry that the first job writes, and of one that another job has to write
    prime_ttl: Mapped[str] = mapped_column(String(2))
    ttl: Mapped[str] = mapped_column(String(2))
    #: expected saving at the low and the high end of the share of hits
    low_nano_usd: Mapped[int]
    high_nano_usd: Mapped[int]


class FittedJobRow(Table):
    """A job that was over a budget and was brought within it, by dropping turns or by a cheaper route.

    The job keeps the fingerprint of its own payload: so it is paid for once, whatever is sent of it.
    """

    __tablename__ = "fitted_jobs"

    run_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: "pruned" or "downgraded"
    how: Mapped[str] = mapped_column(String(20))
    #: of what is sent
    fingerprint: Mapped[str] = mapped_column(String(64))
    model_before: Mapped[str] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(100))
    turns_before: Mapped[int]
    turns: Mapped[int]
    input_tokens_before: Mapped[int]
    input_tokens: Mapped[int]
    #: None: nothing prices the job as it was
    expected_before_nano_usd: Mapped[int | None]
    expected_nano_usd: Mapped[int]


class CostShareRow(Table):
    """How many of the jobs that the cost of an attempt is split over are of a group, or of none: ""."""

    __tablename__ = "cost_shares"

    attempt_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    group_name: Mapped[str] = mapped_column(String(100), primary_key=True)
    jobs: Mapped[int] = mapped_column(Integer)


class SharedAnswerRow(Table):
    """That a job was answered by another job's attempt: it is not sent again, also once the answer is pruned."""

    __tablename__ = "shared_answers"

    job_id: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    attempt_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
