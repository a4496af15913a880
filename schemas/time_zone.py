"""A time zone by its name."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: names that mean another zone on another machine
_OF_THE_MACHINE = ("localtime", "posixrules")


def known_zone(name: str) -> str:
    """The same name, if this machine knows a time zone of it, and every other machine the same one.

    Raises:
        ValueError: it knows none; the text says so.
    """
    unknown = f"unknown time zone {name!r}; use a name such as Europe/Berlin"
    if name in _OF_THE_MACHINE:
        raise ValueError(unknown)
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(unknown) from error
    return name
