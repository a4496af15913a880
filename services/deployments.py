"""The deployments of prefect.yaml, and those of a Prefect server, in the same words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from prefect.client.schemas.objects import DeploymentSchedule
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule

from schemas.deployment import DeploymentSpec, ScheduleSpec
from schemas.errors import BadInput

#: what is brought to a server
_KNOWN = frozenset(("name", "entrypoint", "description", "tags", "parameters", "schedules", "work_pool"))
#: the file of this project
PREFECT_FILE = Path(__file__).resolve().parents[1] / "prefect.yaml"


def deployments_of(file: Path = PREFECT_FILE) -> list[DeploymentSpec]:
    """The deployments that a prefect.yaml describes, in its order.

    Raises:
        BadInput: it cannot be read, or one of them lacks its name, entry point or work pool.
    """
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        return [_spec(one) for one in found["deployments"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"The deployments in {file} cannot be read ({type(error).__name__}). Use the file as the project has it. "
            "Nothing was deployed."
        ) from error


def _spec(one: Mapping[str, Any]) -> DeploymentSpec:
    pool = one["work_pool"]
    schedules = [
        ScheduleSpec(
            slug=schedule.get("slug"),
            cron=schedule["cron"],
            timezone=schedule.get("timezone"),
            active=schedule.get("active", True),
        )
        for schedule in one.get("schedules") or ()
    ]
    return DeploymentSpec(
        name=one["name"],
        entrypoint=one["entrypoint"],
        description=one.get("description", ""),
        tags=tuple(one.get("tags") or ()),
        parameters=one.get("parameters") or {},
        schedules=tuple(schedules),
        work_pool=pool["name"],
        work_queue=pool.get("work_queue_name", "default"),
        left_out=tuple(sorted({*one.keys()} - _KNOWN)),
    )


def spec_on_server(found: DeploymentResponse) -> DeploymentSpec:
    """A deployment as a server has it."""
    return DeploymentSpec(
        name=found.name,
        entrypoint=found.entrypoint or "",
        description=found.description or "",
        tags=tuple(found.tags),
        parameters=found.parameters,
        schedules=tuple(_schedule(one) for one in found.schedules),
        work_pool=found.work_pool_name or "",
        work_queue=found.work_queue_name or "",
        paused=found.paused,
    )


def _schedule(one: DeploymentSchedule) -> ScheduleSpec:
    kind = one.schedule
    if isinstance(kind, CronSchedule):
        return ScheduleSpec(slug=one.slug, cron=kind.cron, timezone=kind.timezone, active=one.active)
    return ScheduleSpec(
        slug=one.slug, cron=type(kind).__name__, timezone=getattr(kind, "timezone", None), active=one.active
    )
