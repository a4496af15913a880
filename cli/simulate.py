"""`weighbridge simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.early_simulator import SIMULATED_LOG
from schemas.errors import BadInput
from simulator.plan import PlanError
from simulator.server import serve


def simulate(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port to listen on; 0 chooses a free one.")
    ] = 8787,
    log: Annotated[
        Path, typer.Option(help="A JSON-lines file for every request that was billed.")
    ] = SIMULATED_LOG,
    plan: Annotated[Path | None, typer.Option(help="Faults, latency and limits (TOML).")] = None,
) -> None:
    """Serve a simulated Anthropic API on this machine until it is interrupted."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The folder {log.parent} cannot be made ({error.strerror}); choose another --log."
        ) from error
    try:
        serve(port, log, plan)
    except PlanError as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        if error.filename is not None:
            raise BadInput(
                f"The simulator cannot write {error.filename} ({error.strerror}); choose another --log."
            ) from error
        raise BadInput(
            f"The simulator cannot listen on port {port} ({error.strerror}); choose another --port."
        ) from error
