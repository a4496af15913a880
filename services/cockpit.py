"""What a Prefect server has of this project, read only."""

import asyncio

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import WorkerStatus
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL
from prefect.utilities.urls import url_for

from schemas.deployment import Cockpit
from schemas.errors import BadInput
from schemas.words import masked_url
from services.deployments import spec_on_server
from services.early_server import ends_with_us

#: how long the server may take for all that is asked, seconds
_PATIENCE_SECONDS = 20


def server_address() -> str | None:
    """The address of the Prefect API that the settings name, as it may be shown; None: they name none."""
    address = PREFECT_API_URL.value()
    return None if address is None else masked_url(address)


def flow_run_address(flow_run: str | None) -> str | None:
    """Where Prefect's UI shows a flow run, as it may be shown; None: the settings name no server that stays.

    Args:
        flow_run: its id; None: no flow run shows what is done.
    """
    api = PREFECT_API_URL.value()
    if flow_run is None or ends_with_us(api) or (api is None and PREFECT_UI_URL.value() is None):
        return None
    address = url_for("flow-run", obj_id=flow_run)
    return None if address is None else masked_url(address)


def named_server() -> str:
    """The address of the Prefect API that the settings name.

    Raises:
        BadInput: they name none.
    """
    address: str | None = PREFECT_API_URL.value()
    if address is None:
        raise BadInput(
            "No Prefect server is named: set PREFECT_API_URL, such as http://127.0.0.1:4200/api; `weighbridge up` starts "
            "one and prints its address. Nothing was changed."
        )
    return address


async def online_workers(client: PrefectClient, pool: str) -> tuple[str, ...]:
    """The names of the workers of a pool that a server takes for online."""
    workers = await client.read_workers_for_work_pool(pool)
    return tuple(one.name for one in workers if one.status is WorkerStatus.ONLINE)


async def is_worked(api: str, pool: str) -> bool:
    """Whether a worker of a pool is online on a server."""
    async with PrefectClient(api) as client:
        return bool(await online_workers(client, pool))


async def read_cockpit(pool: str) -> Cockpit:
    """What the server that the settings name has.

    Args:
        pool: the work pool to look for.

    Raises:
        Exception: whatever Prefect's client raises when the server does not answer.
    """
    async with asyncio.timeout(_PATIENCE_SECONDS), get_client() as client:
        version = await client.api_version()
        deployments = {one.name: spec_on_server(one) for one in await client.read_deployments()}
        try:
            found = await client.read_work_pool(pool)
            workers = await online_workers(client, pool)
        except ObjectNotFound:
            return Cockpit(server_address() or "", version, pool, deployments=deployments)
    return Cockpit(
        address=server_address() or "",
        version=version,
        pool=pool,
        pool_type=found.type,
        pool_paused=found.is_paused,
        workers=workers,
        deployments=deployments,
    )
