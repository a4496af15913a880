"""The options of a run in the parameters of a flow, and what Prefect knows of the flow run."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from prefect.context import FlowRunContext
from prefect.runtime import deployment, flow_run

from schemas.run import RunOptions, RunsOn, SampleOptions, Way

_OPTIONS = frozenset(field.name for field in fields(RunOptions)) - {"way", "sample", "runs_on"}


def given_options(parameters: Mapping[str, Any]) -> RunOptions:
    """The options of a run.

    Args:
        parameters: of the flow, by name: those of `RunOptions`, and for its way to think and its sample `effort`,
            `thinking_budget`, `sample` and `seed`, for where it runs those of `RunsOn`. Others are the flow's own and are left alone.
    """
    rows = parameters.get("sample")
    return RunOptions(
        **{name: value for name, value in parameters.items() if name in _OPTIONS},
        way=Way(parameters.get("effort"), parameters.get("thinking_budget")),
        sample=None if rows is None else SampleOptions(rows, parameters["seed"]),
        runs_on=RunsOn(*(parameters.get(name) for name in RunsOn._fields)),
        prefect_flow_run_id=flow_run.get_id(),
        deployment=_deployment(),
        scheduled_for=flow_run.get_scheduled_start_time(),
    )


def _deployment() -> str | None:
    """The id of the deployment that is run; None: none is.

    Of a flow run that has neither a deployment nor a parent, this is known. Prefect would ask its server for it.
    """
    context = FlowRunContext.get()
    shown = context and context.flow_run
    if shown and shown.deployment_id is None and shown.parent_task_run_id is None:
        return None
    return deployment.get_id()
