"""Show progress: how many rows have their outcome, in the Prefect UI and to whoever listens."""

import asyncio
import logging
import time
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
#: counting the rows takes this share of the time at most: one part counting, so many parts rest
_REST = 20
log = logging.getLogger("weighbridge")


@asynccontextmanager
async def showing_progress(run: Run) -> AsyncIterator[None]:
    """While inside, the listener and, in a flow run, a progress artifact follow the rows."""
    artifact = await _artifact(run)
    watching = asyncio.create_task(_watch(run, artifact))
    try:
        yield
    finally:
        # a watch that has ended found its display gone
        is_shown = not watching.done()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await _show(artifact if is_shown else None, await _percent(run))


async def _artifact(run: Run) -> UUID | None:
    """The progress artifact; None outside of a flow run."""
    if FlowRunContext.get() is None:
        return None
    return await acreate_progress_artifact(0.0, description=f"Rows of {run.run_id} that have their outcome")


async def _show(artifact: UUID | None, percent: float) -> bool:
    """Bring the artifact up to date; whether that could be done. A display that is gone stops no run."""
    if artifact is None:
        return True
    try:
        await aupdate_progress_artifact(artifact, percent)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the display, the run goes on
        log.warning("The progress cannot be shown in Prefect any more (%s).", type(error).__name__)
        return False
    return True


async def _watch(run: Run, artifact: UUID | None) -> None:
    shown, took = 0.0, 0.0
    while True:
        await asyncio.sleep(max(_SECONDS, took * _REST))
        began = time.monotonic()
        percent = await _percent(run)
        took = time.monotonic() - began
        if percent - shown >= 1:
            shown = percent
            if not await _show(artifact, percent):
                return


async def _percent(run: Run) -> float:
    """The share of rows that have their outcome, in percent; the listener hears of it too."""
    rows = await run.ledger.off_loop(run_sums.rows_by_outcome, run.run_id)
    total = sum(rows.values())
    ended = total - rows.get(None, 0)
    listener = LISTENER.get()
    if listener is not None:
        listener(ended, total)
    return 100 * ended / total if total else 100.0
