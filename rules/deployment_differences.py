"""What differs between a deployment as prefect.yaml has it and as a Prefect server has it."""

from collections.abc import Iterator
from typing import Any

from schemas.deployment import DeploymentSpec, ScheduleSpec

#: what an operator may change in the Prefect UI, in the order it is reported
_FIELDS = ("description", "tags", "parameters", "paused", "work_pool", "work_queue")


def differing_fields(ours: DeploymentSpec, theirs: DeploymentSpec) -> list[str]:
    """The names of the fields that differ, "schedules" among them.

    Args:
        ours: as prefect.yaml has it.
        theirs: as the server has it.
    """
    names = [name for name in _FIELDS if _plain(getattr(ours, name)) != _plain(getattr(theirs, name))]
    if _by_slug(ours) != _by_slug(theirs):
        names.append("schedules")
    return names


def difference_lines(ours: DeploymentSpec, theirs: DeploymentSpec) -> list[str]:
    """What differs, a sentence each: what the server has, which holds, and what the file has."""
    lines: list[str] = []
    for name in differing_fields(ours, theirs):
        if name == "schedules":
            lines += _schedule_lines(ours, theirs)
            continue
        words = name.replace("_", " ")
        here, there = _plain(getattr(ours, name)), _plain(getattr(theirs, name))
        lines.append(f"{ours.name}: {words} is {there!r} on the server and {here!r} in the file.")
    return lines


def _schedule_lines(ours: DeploymentSpec, theirs: DeploymentSpec) -> Iterator[str]:
    here, there = _by_slug(ours), _by_slug(theirs)
    for slug in sorted(here.keys() | there.keys()):
        one, other = here.get(slug), there.get(slug)
        if one == other:
            continue
        shown = f"{other or 'missing'} on the server and {one or 'missing'} in the file"
        yield f"{ours.name}: the schedule {slug} is {shown}."


def _by_slug(spec: DeploymentSpec) -> dict[str, ScheduleSpec]:
    """The schedules by slug; those without one, by what they are."""
    return {one.slug or f"{one.cron} {one.timezone}": one for one in spec.schedules}


def _plain(value: Any) -> Any:
    """A value as it is compared: the order of tags says nothing."""
    return sorted(value) if isinstance(value, tuple) else value
