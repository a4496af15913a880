"""A time zone by its name."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def known_zone(name: str) -> str:
    """The same name, if this machine knows a time zone of it.

    Raises:
        ValueError: it knows none; the text says so.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}; use a name such as Europe/Berlin") from error
    return name
