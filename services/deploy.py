"""Bringing deployments to a Prefect server: what is missing is made, and what an operator changed stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound

from rules.deployment_differences import difference_lines, differing_fields
from schemas.deployment import DeploymentSpec, ScheduleSpec
from services.deployments import spec_on_server

#: what the program itself says of a deployment: it follows the program, whoever changed it
_OWN_FIELDS = ("entrypoint", "parameter_openapi_schema", "pull_steps")


@dataclass(frozen=True, slots=True)
class FlowForm:
    """A flow as a server has to know it.

    Attributes:
        name: of the flow.
        parameters: the JSON schema of its form.
    """

    name: str
    parameters: dict[str, Any]


@dataclass(slots=True)
class DeployedReport:
    """What was done.

    Attributes:
        made: the deployments that were missing.
        reset: those that have what the file has again.
        differences: what an operator changed and was left, a sentence each.
        left_out: what prefect.yaml has and was not brought, a sentence each.
    """

    made: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


async def deploy(
    api: str, deployments: Sequence[tuple[DeploymentSpec, FlowForm]], folder: Path, *, reset: bool = False
) -> DeployedReport:
    """Bring deployments to a server, and the work pools that they name.

    Args:
        api: the server's API.
        deployments: each with its flow.
        folder: the current folder of their runs.
        reset: also take back what was changed on the server.

    Raises:
        Exception: whatever Prefect's client raises when the server does not take it.
    """
    report = DeployedReport()
    async with PrefectClient(api) as client:
        for pool in dict.fromkeys(spec.work_pool for spec, _ in deployments):
            await _pool(client, pool)
        for spec, form in deployments:
            if spec.left_out:
                words = ", ".join(spec.left_out)
                report.left_out.append(
                    f"{spec.name}: {words}, which only `prefect deploy` brings to a server."
                )
            await _deploy_one(client, spec, form, folder, report, reset=reset)
    return report


async def _pool(client: PrefectClient, name: str) -> None:
    try:
        await client.read_work_pool(name)
    except ObjectNotFound:
        await client.create_work_pool(WorkPoolCreate(name=name, type="process"))


async def _deploy_one(
    client: PrefectClient,
    spec: DeploymentSpec,
    form: FlowForm,
    folder: Path,
    report: DeployedReport,
    *,
    reset: bool,
) -> None:
    own = {
        "entrypoint": spec.entrypoint,
        "parameter_openapi_schema": form.parameters,
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}],
    }
    try:
        found = await client.read_deployment_by_name(f"{form.name}/{spec.name}")
    except ObjectNotFound:
        await _create(client, spec, form, own)
        report.made.append(spec.name)
        return
    changed = {name: own[name] for name in _OWN_FIELDS if getattr(found, name) != own[name]}
    if changed:
        await client.update_deployment(found.id, DeploymentUpdate(**changed))
    theirs = spec_on_server(found)
    if not differing_fields(spec, theirs):
        return
    if reset:
        await _reset(client, spec, found)
        report.reset.append(spec.name)
    else:
        report.differences += difference_lines(spec, theirs)


async def _create(client: PrefectClient, spec: DeploymentSpec, form: FlowForm, own: dict[str, Any]) -> None:
    await client.create_deployment(
        flow_id=await client.create_flow_from_name(form.name),
        name=spec.name,
        description=spec.description,
        tags=list(spec.tags),
        parameters=dict(spec.parameters),
        schedules=[_schedule(one) for one in spec.schedules],
        work_pool_name=spec.work_pool,
        work_queue_name=spec.work_queue,
        enforce_parameter_schema=True,
        **own,
    )


async def _reset(client: PrefectClient, spec: DeploymentSpec, found: DeploymentResponse) -> None:
    """Take what the file has, where the server has something else."""
    names = differing_fields(spec, spec_on_server(found))
    # Prefect's names of ours
    theirs = {"work_pool": "work_pool_name", "work_queue": "work_queue_name"}
    values = {theirs.get(name, name): getattr(spec, name) for name in names if name != "schedules"}
    if values:
        await client.update_deployment(found.id, DeploymentUpdate(**values))
    if "schedules" in names:
        for schedule in found.schedules:
            await client.delete_deployment_schedule(found.id, schedule.id)
        if spec.schedules:
            await client.create_deployment_schedules(found.id, [_schedule(one) for one in spec.schedules])


def _schedule(one: ScheduleSpec) -> DeploymentScheduleCreate:
    kind = CronSchedule(cron=one.cron, timezone=one.timezone)
    return DeploymentScheduleCreate(schedule=kind, active=one.active, slug=one.slug)
