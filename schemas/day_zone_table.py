"""The table of the time zones that a ledger has counted its days in."""

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from schemas.table import Table


class DayZoneRow(Table):
    """A time zone, and since when the days and months of the windows of money are those of it: the newest row holds."""

    __tablename__ = "day_zones"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    #: an IANA name, as the policies have it
    time_zone: Mapped[str] = mapped_column(String(100))
    since: Mapped[datetime]
