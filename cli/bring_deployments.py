"""`weighbridge deploy`: the deployments of prefect.yaml on a Prefect server, with what an operator changed there kept."""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from schemas.deployment import DeploymentSpec


def deploy(
    reset: Annotated[
        bool, typer.Option("--reset", help="Take back what was changed on the deployments in the Prefect UI.")
    ] = False,
) -> None:
    """Bring the deployments to the Prefect server that PREFECT_API_URL names, and their work pool.

    Deployments that are missing are made; their runs have this folder as their current one. What was changed on one in
    the Prefect UI is named and stays, unless --reset is given.
    """
    from services.cockpit import named_server  # noqa: PLC0415 - Prefect takes seconds to import
    from services.deployments import deployments_of  # noqa: PLC0415

    specs = deployments_of()
    if not bring_deployments(named_server(), specs, Path.cwd(), reset=reset):
        print(f"All {len(specs)} deployments are there, as prefect.yaml has them. Nothing was changed.")


def bring_deployments(api: str, specs: Sequence[DeploymentSpec], folder: Path, *, reset: bool) -> bool:
    """Bring deployments to a server, and say what was done.

    Args:
        api: the server's API.
        specs: the deployments.
        folder: the current folder of their runs.
        reset: also take back what was changed on the server.

    Returns:
        Whether there was something to say.
    """
    from services.deploy import FlowForm, deploy  # noqa: PLC0415 - as above

    forms = []
    for spec in specs:
        module, _, name = spec.entrypoint.rpartition(".")
        flow = getattr(import_module(module), name)
        forms.append(FlowForm(flow.name, flow.parameters.model_dump_for_openapi()))
    report = asyncio.run(deploy(api, list(zip(specs, forms, strict=True)), folder, reset=reset))
    for words, names in (("made", report.made), ("reset to prefect.yaml", report.reset)):
        if names:
            print(f"Deployments {words}: {', '.join(names)}.")
    for line in report.differences:
        print(f"Left as it is: {line}")
    for line in report.left_out:
        print(f"Not brought: {line}")
    if report.differences:
        print("With --reset, `weighbridge up` and `weighbridge deploy` take what the file has.")
    return bool(report.made or report.reset or report.differences or report.left_out)
