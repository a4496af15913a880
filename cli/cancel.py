"""`weighbridge cancel RUN`: ask the provider to stop working on the batches of a run."""

import asyncio
from typing import Annotated

import typer

from cli.options import LedgerOption, at_ledger, opened_ledger
from schemas.batch import BatchPlace
from schemas.errors import BadInput, RunFailed
from schemas.failures import CallFailed
from schemas.job import RunId
from schemas.policy_sections import RateLimits
from services.gateway import Gateway, client_for, open_gateway
from services.ledger import Ledger, batches, runs


def cancel(
    run: Annotated[str, typer.Argument(help="The run id.")],
    ledger: LedgerOption = None,
) -> None:
    """Ask the provider to stop working on the batches of a run.

    Requests that are already being answered may still end, and be billed.
    """
    opened = opened_ledger(ledger)
    if runs.find(opened, run) is None:
        raise BadInput(f"The ledger {opened.url} has no run {run}. Nothing was canceled.")
    client_for()
    canceled, ended = asyncio.run(_cancel_batches(opened, RunId(run)))
    if not canceled and not ended:
        print(f"No batch of {run} is with the provider: there was nothing to stop.")
        return
    asked = f"The provider was asked to stop {canceled} batch(es) of {run}." if canceled else ""
    over = f"{ended} batch(es) of {run} had ended before." if ended else ""
    settles = at_ledger("`weighbridge collect` settles them", ledger)
    when = " when they have ended" if canceled else ""
    print(" ".join(filter(None, (asked, over, f"{settles}{when}."))))


async def _cancel_batches(ledger: Ledger, run_id: RunId) -> tuple[int, int]:
    """Ask for the end of every open batch of a run; how many were asked for, and how many had ended before.

    Raises:
        RunFailed: some could not be asked for; all others were.
    """
    canceled, ended, failures = 0, 0, []
    async with open_gateway(RateLimits()) as gateway:
        here = BatchPlace(gateway.endpoint, gateway.workspace)
        for batch in batches.open_of_run(ledger, run_id):
            if batch.provider_batch_id is None:
                continue
            if batch.place.contradicts(here):
                failures.append(
                    f"The batch {batch.provider_batch_id} belongs to {batch.place}, and this is {here}: cancel it with "
                    "the ANTHROPIC_BASE_URL and key of that place."
                )
                continue
            try:
                await gateway.cancel_batch(batch.provider_batch_id)
            except RunFailed as error:
                if await _has_ended(gateway, batch.provider_batch_id):
                    ended += 1
                else:
                    failures.append(str(error))
            else:
                canceled += 1
    if failures:
        raise RunFailed(" ".join([*failures, f"{canceled} batch(es) of {run_id} were asked to stop."]))
    return canceled, ended


async def _has_ended(gateway: Gateway, provider_batch_id: str) -> bool:
    """Whether a batch that could not be cancelled has ended, which is why."""
    try:
        return (await gateway.batch(provider_batch_id)).ended
    except CallFailed:
        return False
