"""A time of day, in whole seconds and without a time zone."""

from datetime import time
from typing import Annotated

from pydantic import BeforeValidator


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
