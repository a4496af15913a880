"""Deployments: what prefect.yaml says of them, and what a Prefect server has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """When a deployment runs by itself.

    Attributes:
        slug: its name within the deployment; None: it has none.
        cron: five fields; another kind of schedule, which somebody made on the server, as text.
        active: whether it makes runs.
    """

    slug: str | None
    cron: str
    timezone: str | None
    active: bool = True

    def __str__(self) -> str:
        state = "active" if self.active else "paused"
        return f'"{self.cron}" in {self.timezone or "UTC"}, {state}'


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """What an operator may change of a deployment, and where its flow is.

    Attributes:
        entrypoint: the flow, as module.function.
        left_out: what else the file says of it, which only `prefect deploy` knows.
        paused: whether all of its schedules rest.
    """

    name: str
    entrypoint: str
    description: str = ""
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    schedules: tuple[ScheduleSpec, ...] = ()
    work_pool: str = ""
    work_queue: str = "default"
    paused: bool = False
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cockpit:
    """What a Prefect server has of this project.

    Attributes:
        address: of its API.
        version: its version.
        pool: the name of the work pool that was looked for.
        pool_type: its type; None: there is no such pool.
        pool_paused: whether it hands out no work.
        workers: the names of those that are online.
        deployments: as the server has them, by name.
    """

    address: str
    version: str
    pool: str
    pool_type: str | None = None
    pool_paused: bool = False
    workers: tuple[str, ...] = ()
    deployments: Mapping[str, DeploymentSpec] = field(default_factory=dict)
