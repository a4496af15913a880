"""The plan as a whole, and how it is read."""

import tomllib
from pathlib import Path

from pydantic import Field, ValidationError

from simulator.plan.api_clock import MAX_SHIFT_SECONDS, ApiClock
from simulator.plan.plan_sections import (
    BatchPlan,
    Latency,
    Limits,
    MessagePlan,
    PlanPart,
    PromptCachePlan,
    WorkspaceId,
)
from simulator.plan.planned_faults import Fault


class Plan(PlanPart):
    """Everything that is settled about a run of the simulator before it starts.

    Attributes:
        seed: decides probabilities and jitter.
        latency: how long answers take.
        limits: requests per minute.
        messages: what becomes of accepted messages.
        batches: what becomes of Message Batches.
        cache: what becomes of requests that the prompt cache could serve.
        clock_shift_seconds: how far the API's clock is ahead of the machine's; below zero behind it.
        workspaces: id of the workspace by API key; all other keys belong to the default one.
        faults: what goes wrong, asked in this order.
    """

    seed: int = 0
    latency: Latency = Latency()
    limits: Limits = Limits()
    messages: MessagePlan = MessagePlan()
    batches: BatchPlan = BatchPlan()
    cache: PromptCachePlan = PromptCachePlan()
    clock_shift_seconds: float = Field(default=0.0, ge=-MAX_SHIFT_SECONDS, le=MAX_SHIFT_SECONDS)
    workspaces: dict[str, WorkspaceId] = Field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def clock(self) -> ApiClock:
        """A clock that everything the simulator shows is dated by, as it stands at the start."""
        return ApiClock(self.clock_shift_seconds)


class PlanError(ValueError):
    """A plan file that cannot be used; the message names the file, the place and the reason."""


def read_plan(path: str | Path | None) -> Plan:
    """Read a plan file.

    Args:
        path: TOML file; None for the plan in which nothing goes wrong.

    Returns:
        the plan.

    Raises:
        PlanError: if the file cannot be read, is not TOML, or does not fit.
    """
    if path is None:
        return Plan()
    try:
        return Plan.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: {error}") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'plan'}: {item['msg']}" for item in error.errors()
        )
        raise PlanError(f"{path}: {problems}") from error
