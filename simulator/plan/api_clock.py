"""The clock that the simulator shows: the machine's, shifted by what the plan states."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

#: a shift beyond ten years is taken for a mistake
MAX_SHIFT_SECONDS = 315_360_000


class ClockMove(BaseModel):
    """An order to put the clock forward.

    Attributes:
        advance_seconds: by how much.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    advance_seconds: Annotated[float, Field(gt=0, le=MAX_SHIFT_SECONDS)]


def rfc3339(moment: datetime) -> str:
    """A moment in UTC as the API's objects have it."""
    return moment.isoformat().replace("+00:00", "Z")


class ApiClock:
    """What time the API has. Waiting does not follow it: that is on the monotonic clock.

    Args:
        shift_seconds: how far it is ahead of the machine's clock; below zero behind it.
    """

    def __init__(self, shift_seconds: float = 0.0) -> None:
        self.shift_seconds = shift_seconds

    def advance(self, seconds: float) -> None:
        """Put the clock forward: cache entries and batches grow older, and whatever is dated from now on is dated later."""
        self.shift_seconds += seconds

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.shift_seconds)

    def seconds(self) -> float:
        """The time in seconds since 1970 UTC."""
        return time.time() + self.shift_seconds

    def http_date(self) -> str:
        """The time as the `Date` header has it."""
        return formatdate(self.seconds(), usegmt=True)
