"""How a run ends in Prefect: its report as a state that says what it ended as."""

from collections.abc import Awaitable

from prefect import State
from prefect.states import Completed, Failed

from rules.shown_state import shown_state
from schemas.errors import NoJobs, WeighbridgeError
from schemas.report import RunReport


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
        allow_no_jobs: a run without input is complete, and says so.
    """
    try:
        return final_state(await work)
    except NoJobs as error:
        if allow_no_jobs:
            return Completed(message=f"There was nothing to do: {error} Nothing was counted or sent.")
        return Failed(message=str(error), data=error)
    except WeighbridgeError as error:
        return Failed(message=str(error), data=error)


def final_state(report: RunReport) -> State[RunReport]:
    """The Prefect state that says what the run ended as; the result of a failed one is `NotComplete`."""
    shown = shown_state(report)
    if shown.failed:
        return Failed(name=shown.name, message=shown.message, data=NotComplete(shown.message, report))
    return Completed(name=shown.name, message=shown.message, data=report)
