"""`weighbridge collect` and `weighbridge cancel RUN`: what interrupted runs left with the provider."""

import asyncio
import json
import time
from typing import Annotated

import typer

from cli.in_flow import result_of
from cli.options import LedgerOption
from cli.show_report import print_report
from schemas.errors import BadInput
from schemas.job import RunId
from schemas.policy import RateLimits
from schemas.settings import Settings
from services.ledger import Ledger, batches, open_ledger, runs

_WAIT_SECONDS = 5


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("collect")(collect)
    app.command("cancel")(cancel)


def collect(
    ledger: LedgerOption = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until every batch has ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Settle the batches that interrupted runs left with the provider, and finish those runs."""
    from flows.collect_batches import collect_batches  # noqa: PLC0415 - Prefect is imported after its settings
    from services.gateway import client_for  # noqa: PLC0415 - the SDK takes seconds to import

    client_for()
    url = ledger or Settings().ledger_url
    reports, out = result_of(collect_batches, url)
    while wait and out:
        time.sleep(_WAIT_SECONDS)
        more, out = result_of(collect_batches, url)
        reports += more
    if as_json:
        print(
            json.dumps(
                {"runs": [report.model_dump(mode="json") for report in reports], "batches_still_out": out}
            )
        )
        return
    for report in reports:
        print_report(report)
    print(f"{len(reports)} run(s) finished; {out} batch(es) still with the provider.")


def cancel(
    run: Annotated[str, typer.Argument(help="The run id.")],
    ledger: LedgerOption = None,
) -> None:
    """Ask the provider to stop working on a run's batches. What is in flight may still end, and be billed."""
    from services.gateway import client_for  # noqa: PLC0415 - the SDK takes seconds to import

    client_for()
    opened = open_ledger(ledger or Settings().ledger_url)
    if runs.find(opened, run) is None:
        raise BadInput(f"The ledger {opened.url} has no run {run}.")
    asked = asyncio.run(_cancel(opened, RunId(run)))
    print(
        f"{asked} batch(es) of {run} asked to stop. `weighbridge collect` settles them when they have ended."
    )


async def _cancel(ledger: Ledger, run_id: RunId) -> int:
    from services.gateway import open_gateway  # noqa: PLC0415 - the SDK takes seconds to import

    asked = 0
    async with open_gateway(RateLimits()) as gateway:
        for batch in batches.open_of_run(ledger, run_id):
            if batch.provider_batch_id:
                await gateway.cancel_batch(batch.provider_batch_id)
                asked += 1
    return asked
