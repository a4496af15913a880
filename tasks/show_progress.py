"""Show progress: how many rows have their outcome, in the Prefect UI and to whoever listens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from uuid import UUID

from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.context import FlowRunContext

from services.ledger import run_sums
from tasks.run import Run

#: called with the rows that have their outcome and all rows; a terminal sets it
LISTENER: ContextVar[Callable[[int, int], None] | None] = ContextVar("progress listener", default=None)
_SECONDS = 2


@asynccontextmanager
async def showing_progress(run: Run) -> AsyncIterator[None]:
    """While inside, the listener and, in a flow run, a progress artifact follow the rows."""
    artifact = await _artifact(run)
    watching = asyncio.create_task(_watch(run, artifact))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await _show(artifact, await _percent(run))


async def _artifact(run: Run) -> UUID | None:
    """The progress artifact; None outside of a flow run."""
    if FlowRunContext.get() is None:
        return None
    return await acreate_progress_artifact(0.0, description=f"Rows of {run.run_id} that have their outcome")


async def _show(artifact: UUID | None, percent: float) -> None:
    if artifact is not None:
        await aupdate_progress_artifact(artifact, percent)


async def _watch(run: Run, artifact: UUID | None) -> None:
    shown = 0.0
    while True:
        await asyncio.sleep(_SECONDS)
        percent = await _percent(run)
        if percent - shown >= 1:
            shown = percent
            await _show(artifact, percent)


async def _percent(run: Run) -> float:
    """The share of rows that have their outcome, in percent; the listener hears of it too."""
    rows = await run.ledger.off_loop(run_sums.rows_by_outcome, run.run_id)
    total = sum(rows.values())
    ended = total - rows.get(None, 0)
    listener = LISTENER.get()
    if listener is not None:
        listener(ended, total)
    return 100 * ended / total if total else 100.0
