"""A moment as the project has it: in UTC, so that its date is the UTC day, by which prices go."""

from datetime import UTC, datetime


def in_utc(moment: datetime) -> datetime:
    """The same moment in UTC. One without a zone is of a database that keeps none: it was taken off on the way in."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
