"""`weighbridge resubmit-approved`."""

from pathlib import Path
from typing import Annotated

import typer

from cli.in_flow import endpoint, places, result_of, told
from schemas.outcome import Mode
from schemas.policy import read_policy
from schemas.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("resubmit-approved")(resubmit_approved)


def resubmit_approved(
    policy: Annotated[Path | None, typer.Option(help="The policy file (TOML).")] = None,
    ledger: Annotated[str | None, typer.Option(help="A SQLAlchemy URL, such as sqlite:///ledger.db.")] = None,
    results: Annotated[Path | None, typer.Option(help="The folder for results.")] = None,
    run_budget_usd: Annotated[
        str | None, typer.Option(help="The most this run may hold and spend, in USD, such as 12.50.")
    ] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="messages: now; batches: half the price, within 24 hours.")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Against a local simulator: no key, no money.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Send what reviewers approved, each job under its own ceiling; the same JSON and exit codes as `run`."""
    ledger, folder = places(ledger, results, simulate=simulate)

    def work() -> object:
        read_policy(policy or Settings().policy)
        with endpoint(simulate=simulate) as base_url:
            from flows import resubmit_approved as flow  # noqa: PLC0415 - Prefect is imported after its settings

            return result_of(
                flow.resubmit_approved,
                policy=str(policy) if policy else None,
                ledger=ledger,
                results=folder,
                run_budget_usd=run_budget_usd,
                base_url=base_url,
                mode=mode.value if mode else None,
            )

    told(work, as_json=as_json)
