"""Flow runs that Prefect shows: the tags and the report of a run, and what a process could not report when it died."""

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import (
    TaskRunFilter,
    TaskRunFilterFlowRunId,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

from rules.artifact_key import artifact_key

log = logging.getLogger("weighbridge")

#: how long Prefect may take for all of them, seconds: it is the display, and nothing waits for a display
_PATIENCE_SECONDS = 20
#: task runs of one flow run that are set; a run makes a few hundred, of which few are under way at once
_MOST_TASK_RUNS = 1_000
_PAGE = 200


async def show_crashed(flow_runs: Iterable[str], sentence: str) -> None:
    """Set flow runs that Prefect takes for running to Crashed, with their task runs; what has ended stays as it is.

    Prefect leaves the task runs of a process that was killed Running for ever, also where its worker noticed. At most
    `_MOST_TASK_RUNS` of a flow run are set, all of them after the flow runs.

    A Prefect server that is away, or knows nothing of them, stops nobody: it is logged.

    Args:
        flow_runs: their ids.
        sentence: what happened to them, for the people who look at them.
    """
    ids = list(flow_runs)
    if not ids:
        return
    away = f"Prefect could not be informed that {len(ids)} flow run(s) died (%s). Their books are closed all the same."
    with _only_logged(away):
        async with asyncio.timeout(_PATIENCE_SECONDS), get_client() as client:
            await _set_crashed(client, ids, sentence)


@contextmanager
def _only_logged(away: str) -> Iterator[None]:
    """Whatever is wrong with Prefect's server stops nobody: it is logged.

    Args:
        away: the sentence for the log, with a place for the error.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - no run fails for want of a display
        log.warning(away, type(error).__name__)


async def _set_crashed(client: PrefectClient, ids: list[str], sentence: str) -> None:
    known = []
    for flow_run_id in ids:
        try:
            shown = await client.read_flow_run(UUID(flow_run_id))
        except ObjectNotFound:
            continue  # another server showed it, or somebody deleted it
        known.append(UUID(flow_run_id))
        if shown.state is None or not shown.state.is_final():
            await client.set_flow_run_state(flow_run_id, Crashed(message=sentence), force=True)
    for flow_run in known:
        await _set_task_runs_crashed(client, flow_run, sentence)


async def _set_task_runs_crashed(client: PrefectClient, flow_run: UUID, sentence: str) -> None:
    open_states = [kind for kind in StateType if kind not in TERMINAL_STATES]
    wanted = TaskRunFilter(
        flow_run_id=TaskRunFilterFlowRunId(any_=[flow_run]),
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=open_states)),
    )
    left = _MOST_TASK_RUNS
    while left > 0:
        page = await client.read_task_runs(task_run_filter=wanted, limit=min(left, _PAGE))
        for task_run in page:
            await client.set_task_run_state(task_run.id, Crashed(message=sentence), force=True)
        left = left - len(page) if page else 0


async def is_being_cancelled(flow_run: str | None) -> bool:
    """Whether somebody has cancelled a flow run that Prefect has not seen end yet.

    False as well when no flow run shows what is done, or its Prefect server is away.

    Args:
        flow_run: its id; None: there is none.
    """
    if flow_run is None:
        return False
    state = None
    away = "Prefect could not be asked whether this run was cancelled (%s). It has ended as its report says."
    with _only_logged(away):
        async with asyncio.timeout(_PATIENCE_SECONDS), get_client() as client:
            state = (await client.read_flow_run(UUID(flow_run))).state
    return state is not None and state.is_cancelling()


async def add_tags(flow_run: str | None, tags: Iterable[str]) -> None:
    """Add tags to a flow run, next to those that it has of its deployment.

    A Prefect server that is away stops nobody: it is logged.

    Args:
        flow_run: its id; None: no flow run shows what is done.
        tags: to be added.
    """
    if flow_run is None:
        return
    with _only_logged("Prefect could not be informed of the tags of this run (%s). The run goes on."):
        async with asyncio.timeout(_PATIENCE_SECONDS), get_client() as client:
            shown = await client.read_flow_run(UUID(flow_run))
            await client.update_flow_run(shown.id, tags=list(dict.fromkeys([*shown.tags, *tags])))


async def show_page(flow_run: str, stem: str, markdown: str, description: str) -> None:
    """Show a page of Markdown on a flow run, and on the page that collects those of its deployment.

    A Prefect server that is away stops nobody: it is logged.

    Args:
        flow_run: its id.
        stem: of the artifact's key.
        markdown: the page.
        description: what it is.
    """
    away = "Prefect could not be given the report of this run (%s); it is in the results and in the ledger."
    with _only_logged(away):
        async with asyncio.timeout(_PATIENCE_SECONDS), get_client() as client:
            key = artifact_key(stem, await _deployment_of(client, flow_run))
            await client.create_artifact(
                ArtifactCreate(
                    key=key,
                    type="markdown",
                    data=markdown,
                    description=description,
                    flow_run_id=UUID(flow_run),
                )
            )


async def _deployment_of(client: PrefectClient, flow_run: str) -> str | None:
    """The name of the deployment that a flow run is of; None: of none, or it is not known any more."""
    try:
        shown = await client.read_flow_run(UUID(flow_run))
        if shown.deployment_id is None:
            return None
        return (await client.read_deployment(shown.deployment_id)).name
    except ObjectNotFound:
        return None
