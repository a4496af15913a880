"""The table of the rates that processes of one account share."""

from typing import Any

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from schemas.table import Table


class AllowanceRow(Table):
    """One rate of one account, which processes lease blocks of. Moments are microseconds by the database's clock."""

    __tablename__ = "allowances"

    #: the endpoint and a digest of the key
    account: Mapped[str] = mapped_column(Text, primary_key=True)
    #: "messages" and the model, "count_tokens" or "batches"
    limit_name: Mapped[str] = mapped_column(String(150), primary_key=True)
    next_turn_us: Mapped[int] = mapped_column(default=0)
    paused_until_us: Mapped[int] = mapped_column(default=0)
    #: limits that the API's headers last stated
    stated: Mapped[dict[str, Any]]
    #: input and output tokens, by the quarter of a second in which they were used
    taken: Mapped[dict[str, Any]]
    #: what each process has of it
    holdings: Mapped[dict[str, Any]]
