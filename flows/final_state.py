"""How a run ends in Prefect: its report as a state that says what it ended as."""

from collections.abc import Awaitable

from prefect import State
from prefect.states import Completed, Failed

from schemas.errors import NoJobs, WeighbridgeError
from schemas.outcome import RunOutcome
from schemas.report import RunReport


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
    """The Prefect state that says what the run ended as."""
    figures = f"{report.jobs.succeeded} of {report.jobs.read} jobs succeeded, {report.usd.actual:f} USD"
    message = f"{report.run_id}: {figures}"
    if report.outcome == RunOutcome.FAILED:
        return Failed(message=report.error or message, data=report)
    name = "".join(word.capitalize() for word in report.outcome.split("_"))
    if report.outcome == RunOutcome.COMPLETE:
        name = "Completed"
    return Completed(name=name, message=message, data=report)
