"""Collect: what interrupted runs left with the provider is settled and published, without a new run."""

from prefect import State, flow, get_run_logger
from prefect.states import Completed

from schemas.policy import Limits
from schemas.report import RunReport
from schemas.settings import Settings
from services.gateway import open_gateway
from services.ledger import open_ledger
from tasks.collect import collect


@flow(name="collect-batches", persist_result=False)
async def collect_batches(
    ledger: str | None = None, base_url: str | None = None
) -> State[tuple[list[RunReport], int]]:
    """Look at every batch that an interrupted run left behind; settle those that have ended, and finish their runs.

    Needs ANTHROPIC_API_KEY in the environment of the worker that runs it.

    Args:
        ledger: A SQLAlchemy URL. Empty: WEIGHBRIDGE_LEDGER, or data/ledger.db.
        base_url: The API's address. Empty: ANTHROPIC_BASE_URL, or Anthropic's own.
    """
    opened = open_ledger(ledger or Settings().ledger_url)
    try:
        async with open_gateway(Limits(), base_url) as gateway:
            await gateway.models()
            finished, out = await collect(opened, gateway)
    finally:
        opened.close()
    message = f"{len(finished)} runs finished, {out} batches still with the provider"
    get_run_logger().info(message)
    return Completed(message=message, data=(finished, out))
