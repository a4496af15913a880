"""`weighbridge simulate`."""

from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import BadInput
from simulator.plan import PlanError
from simulator.server import serve


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("simulate")(simulate)


def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 8787,
    log: Annotated[Path, typer.Option(help="A JSON-lines file of every request that was billed.")] = Path(
        "data/simulated/billed.jsonl"
    ),
    plan: Annotated[Path | None, typer.Option(help="Faults, latency and limits (TOML).")] = None,
) -> None:
    """Serve a simulated Anthropic API on this machine, until interrupted."""
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        serve(port, log, plan)
    except PlanError as error:
        raise BadInput(str(error)) from error
    except OSError as error:
        raise BadInput(
            f"The simulator cannot listen on port {port} ({error.strerror}); name another."
        ) from error
