"""Show progress: how many rows are weighed, how many have which outcome; in Prefect, in its log, and to whoever listens."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from typing import Self
from uuid import UUID

from prefect.artifacts import (
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.context import FlowRunContext

from schemas.outcome import Outcome
from services.ledger.rows_so_far import RowsSoFar, rows_so_far
from tasks.run import Run
from tasks.step import run_log

#: called with what is done, the rows that have come so far, and all rows; a terminal sets it
LISTENER: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("progress listener", default=None)
_SECONDS = 2
#: counting the rows takes this share of the time at most: one part counting, this many parts rest
_REST = 20
#: the least time between two lines of progress in the log, seconds
_LINE_SECONDS = 60.0
#: how long Prefect may take for one look, seconds: nothing waits for a display
_PATIENCE_SECONDS = 20


class Stage(StrEnum):
    """The two stages of a run that take long, by what has become of a row that has come through."""

    COUNTING = "weighed"
    SENDING = "done"

    def come(self, rows: RowsSoFar) -> int:
        """How many rows have come through it."""
        return rows.weighed if self is Stage.COUNTING else rows.ended


class ProgressDisplay:
    """What Prefect shows of a run under way: a bar for each stage, and one table of outcomes for both.

    It follows the run from outside: only who leaves the display waits until all of it is shown. A display that is gone is
    given up, and the run goes on.

    Args:
        run: the run, all of whose rows are read.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._is_gone = FlowRunContext.get() is None
        self._bar: UUID | None = None
        self._table: UUID | None = None
        self._shown: tuple[float, RowsSoFar] | None = None
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is not None:
            await self._following

    @contextmanager
    def of(self, stage: Stage) -> Iterator[None]:
        """While inside, the listener, the log and, in a flow run, the artifacts follow the rows through a stage."""
        is_over = asyncio.Event()
        self._following = asyncio.create_task(self._follow(stage, is_over, self._following))
        try:
            yield
        finally:
            is_over.set()

    async def _follow(self, stage: Stage, is_over: asyncio.Event, before: asyncio.Task[None] | None) -> None:
        """Show a stage once all is shown of the one before: at its beginning, now and then, and at its end."""
        if before is not None:
            await before
        self._bar = self._shown = None
        await self._look(stage)
        await self._watch(stage, is_over)
        await self._look(stage)

    async def _watch(self, stage: Stage, is_over: asyncio.Event) -> None:
        clock = asyncio.get_running_loop().time
        took, last_line = 0.0, clock()
        while not await _comes_within(is_over, max(_SECONDS, took * _REST)):
            began = clock()
            rows = await self._look(stage)
            took = clock() - began
            if began - last_line >= _LINE_SECONDS:
                last_line = began
                run_log().info("%s: %s", self._run.run_id, progress_line(stage, rows))

    async def _look(self, stage: Stage) -> RowsSoFar:
        """Count the rows, and bring whoever shows them up to date."""
        rows = await self._run.ledger.off_loop(
            rows_so_far, self._run.run_id, unweighed=stage is Stage.COUNTING
        )
        come = stage.come(rows)
        listener = LISTENER.get()
        if listener is not None:
            listener(stage, come, rows.total)
        percent = 100 * come / rows.total if rows.total else 100.0
        if not self._is_gone and self._shown != (percent, rows):
            await self._show(stage, percent, rows)
        return rows

    async def _show(self, stage: Stage, percent: float, rows: RowsSoFar) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._show_bar(stage, percent)
                await self._show_table(rows)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the display, the run goes on
            self._is_gone = True
            run_log().warning("The progress cannot be shown in Prefect any more (%s).", type(error).__name__)
        else:
            self._shown = percent, rows

    async def _show_bar(self, stage: Stage, percent: float) -> None:
        if self._bar is None:
            words = f"Rows {stage}: {self._run.run_id}"
            self._bar = await acreate_progress_artifact(percent, description=words)
        else:
            await aupdate_progress_artifact(self._bar, percent)

    async def _show_table(self, rows: RowsSoFar) -> None:
        table = outcome_table(rows)
        if self._table is None:
            words = f"Outcomes so far: {self._run.run_id}"
            self._table = await acreate_table_artifact(table, description=words)
            return
        async with get_client() as client:
            await client.update_artifact(self._table, ArtifactUpdate(data=json.dumps(table)))


async def _comes_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def outcome_table(rows: RowsSoFar) -> list[dict[str, str | int]]:
    """Each outcome with its rows, those that have none yet, and all."""
    named = [{"outcome": outcome.value, "rows": rows.by_outcome.get(outcome, 0)} for outcome in Outcome]
    return [
        *named,
        {"outcome": "not yet", "rows": rows.total - rows.ended},
        {"outcome": "all", "rows": rows.total},
    ]


def progress_line(stage: Stage, rows: RowsSoFar) -> str:
    """How far a stage has come, in a line of the log."""
    outcomes = ", ".join(
        f"{rows.by_outcome[outcome]:,} {outcome}" for outcome in Outcome if rows.by_outcome.get(outcome)
    )
    return f"{stage.come(rows):,} of {rows.total:,} rows {stage}" + (f" ({outcomes})" if outcomes else "")
