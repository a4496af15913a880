"""How a run ends in Prefect: its report as a state that says what it ended as."""

import os
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from prefect import State
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed

from rules.shown_state import StateName, cancelled_message, shown_state
from schemas.errors import NoJobs, WeighbridgeError
from schemas.outcome import RunOutcome
from schemas.report import RunReport
from services.flow_runs import is_being_cancelled

#: where Prefect keeps the results of a flow, none of which are kept: where none is named, it asks its server twice a run
NOWHERE = Path(os.devnull)
#: of a state without a run; takes why there is none
NOTHING_TO_DO = "There was nothing to do: {} Nothing was counted or sent."


class NotComplete(WeighbridgeError):  # noqa: N818 - a run that has ended, not a fault of the program
    """A run has ended, and something is left to be done; its report says what.

    A failed state of Prefect needs an exception as its result: who calls the flow in Python gets it raised.
    """

    def __init__(self, message: str, report: RunReport) -> None:
        super().__init__(message)
        self.report = report


async def as_state(work: Awaitable[RunReport], *, allow_no_jobs: bool = False) -> State[RunReport]:
    """Do a run; the state of its flow run. What stops it is a failed state with the error's sentence.

    Args:
        work: the run.
        allow_no_jobs: without input there is no run, and the state is complete and says so.
    """
    return await unless_cancelled(await _own_state(work, allow_no_jobs=allow_no_jobs))


async def _own_state(work: Awaitable[RunReport], *, allow_no_jobs: bool) -> State[RunReport]:
    """The state of a run whatever Prefect makes of it."""
    try:
        return final_state(await work)
    except NoJobs as error:
        if allow_no_jobs:
            nothing = RunReport(run_id="", outcome=RunOutcome.COMPLETE)
            return Completed(message=NOTHING_TO_DO.format(error), data=nothing)
        return Failed(message=str(error), data=error)
    except WeighbridgeError as error:
        return Failed(message=str(error), data=error)


async def unless_cancelled(state: State[Any]) -> State[Any]:
    """The state that a flow run ends in; where somebody cancels it at its very end, a cancelled one with the same result.

    From Cancelling, Prefect takes no other state than Cancelled, and leaves a flow run that ends in another one as it is
    (prefect 3.8.8, server/orchestration/core_policy.py). Where the cancellation comes between this question and the end,
    Prefect's server sets the flow run to Cancelled five minutes later (server/services/cancellation_cleanup.py).
    """
    if not await is_being_cancelled(flow_run.get_id()):
        return state
    message = cancelled_message(
        state.message or "",
        is_complete=state.name == StateName.COMPLETED,
        has_report=isinstance(state.data, RunReport | NotComplete),
    )
    return Cancelled(message=message, data=state.data)


def final_state(report: RunReport) -> State[RunReport]:
    """The Prefect state that says what the run ended as; the result of a failed one is `NotComplete`."""
    shown = shown_state(report)
    if shown.failed:
        return Failed(name=shown.name, message=shown.message, data=NotComplete(shown.message, report))
    return Completed(name=shown.name, message=shown.message, data=report)
