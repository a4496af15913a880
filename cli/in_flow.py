"""Running a flow in this process, stopping it in good order, and reporting the result."""

import asyncio
import contextlib
import inspect
import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.early_simulator import early_simulator
from cli.last_words import last_words, mark_as_said
from cli.options import SIMULATED_LEDGER
from cli.show_report import print_report
from flows.final_state import NotComplete
from schemas.errors import Interrupted
from schemas.ledger_place import named_ledger_url
from schemas.outcome import EXIT_CODES, RunOutcome
from schemas.report import RunReport
from services.early_server import wait_for_early_server
from services.gateway import client_for
from tasks.show_progress import LISTENER

Report = TypeVar("Report", bound=BaseModel)

_SIMULATED_RESULTS = Path("data/simulated/results")

# at every exit Prefect logs how many events it still has to send to its server
logging.getLogger("EventsWorker").setLevel(logging.ERROR)

_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def result_of(flow: Any, *arguments: Any, **options: Any) -> Any:
    """What a flow returns, or, where its run is not complete, the report of the run.

    SIGINT and SIGTERM end it in good order: nothing more is sent, and the books of the run are closed.

    The flow runs in a thread of its own. In the main thread Prefect would handle SIGTERM itself, by an exception that is
    raised wherever the event loop happens to be (`prefect.utilities.engine.capture_sigterm`).

    Raises:
        Interrupted: one of the two came.
        RunFailed: the Prefect server that was started for it did not start.
        BaseException: what the flow raised, or returned as the reason of its failure.
    """
    wait_for_early_server()
    came: list[signal.Signals] = []
    cancel: list[Callable[[], object]] = []

    async def finished() -> Any:
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(flow(*arguments, **options, return_state=True))
        cancel.append(lambda: loop.call_soon_threadsafe(running.cancel))
        if came:
            running.cancel()
        state = await running
        found = state.result(raise_on_failure=False)
        return await found if inspect.isawaitable(found) else found

    def stop(number: int, _: object) -> None:
        came.append(signal.Signals(number))
        for one in cancel:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                one()

    try:
        with _handled(stop), ThreadPoolExecutor(1) as thread:
            result = thread.submit(copy_context().run, asyncio.run, finished()).result()
    except BaseException:
        if came:
            raise Interrupted(_EXIT_CODES[came[0]]) from None
        raise
    if came:
        raise Interrupted(_EXIT_CODES[came[0]])
    if isinstance(result, NotComplete):
        return result.report
    if isinstance(result, BaseException):
        raise result
    return result


@contextlib.contextmanager
def _handled(stop: Callable[[int, object], None]) -> Iterator[None]:
    """SIGINT and SIGTERM are handled by `stop` meanwhile."""
    before = {which: signal.signal(which, stop) for which in _EXIT_CODES}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)


def run_and_report(
    work: Callable[[], object], *, as_json: bool, show: Callable[[RunReport], None] = print_report
) -> NoReturn:
    """Do a run, print its report, and end with its exit code.

    Args:
        work: does the run.
        show: prints a report for people.
        as_json: print one JSON object on stdout, and nothing else there, also when the run fails.

    Raises:
        Exit: with the exit code of the run's outcome.
        Exception: what ended the run early.
    """

    def with_progress() -> RunReport:
        with _progress_bar():
            return RunReport.model_validate(work())

    def failed(words: str) -> RunReport:
        return RunReport(run_id="", outcome=RunOutcome.FAILED, error=words)

    report = done_and_shown(with_progress, failed, show, as_json=as_json)
    raise typer.Exit(EXIT_CODES[report.outcome])


def done_and_shown(
    work: Callable[[], Report],
    failed: Callable[[str], Report],
    show: Callable[[Report], None],
    *,
    as_json: bool,
) -> Report:
    """The report of some work, once it is shown.

    Args:
        work: makes the report.
        failed: a report that says only what ended the work early.
        show: prints a report for people.
        as_json: print one JSON object on stdout in place of that, also when the work fails.

    Raises:
        Exception: what ended the work early.
    """
    try:
        report = work()
    except Exception as error:
        if as_json:
            print(failed(last_words(error)).model_dump_json(ensure_ascii=True))
            mark_as_said(error)
        raise
    if as_json:
        print(report.model_dump_json(ensure_ascii=True))
    else:
        show(report)
    return report


@contextlib.contextmanager
def _progress_bar() -> Iterator[None]:
    """A bar on stderr while jobs are weighed and sent, where there is a terminal to show it on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("jobs", total=None)
        LISTENER.set(
            lambda stage, come, total: progress.update(bar, description=stage, completed=come, total=total)
        )
        yield


@contextlib.contextmanager
def endpoint(*, simulate: bool) -> Iterator[str | None]:
    """The API's address for a run; None leaves it to the environment.

    Raises:
        BadInput: there is neither a key, nor an address, nor a simulator.
    """
    if not simulate:
        client_for()
        yield None
        return
    os.environ["ANTHROPIC_API_KEY"] = "simulated"
    with early_simulator() as simulator:
        yield simulator.base_url


def places(ledger: str | None, results: Path | None, *, simulate: bool) -> tuple[str | None, str | None]:
    """The ledger's URL and the results folder of a run; simulated runs have their own. None leaves it to the settings."""
    if simulate:
        ledger = named_ledger_url(ledger) or f"sqlite:///{SIMULATED_LEDGER.absolute()}"
        results = results or Path(os.environ.get("WEIGHBRIDGE_RESULTS") or _SIMULATED_RESULTS)
    folder = str(results) if results else None
    return ledger, folder
