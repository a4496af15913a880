"""A deadline: when the answers of a run are due."""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Annotated

from pydantic import BeforeValidator


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the answers of a run are due.

    Attributes:
        due: the moment, in UTC.
        at_risk_from: from this moment on, what is still to come goes out at full price.
    """

    due: datetime
    at_risk_from: datetime

    @property
    def period(self) -> str:
        """The period of its window of money, which all runs that are due at this moment share."""
        return f"{self.due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _time_of_day(value: object) -> object:
    """A time of day without a time zone, from a text such as 06:30 or a local time of TOML."""
    if isinstance(value, str):
        try:
            value = time.fromisoformat(value) if ":" in value else None
        except ValueError:
            value = None
    if not isinstance(value, time) or value.tzinfo is not None or value.microsecond:
        raise ValueError("write it as a time of day without a time zone, such as 06:30")
    return value


#: a time of day in whole seconds, by the clocks of the policy's time zone
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
