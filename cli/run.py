"""`weighbridge run JOBS`."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.in_flow import result_of
from cli.show_report import print_report
from schemas.errors import UNEXPECTED, WeighbridgeError
from schemas.outcome import EXIT_CODES, Mode, RunOutcome
from schemas.policy import read_policy
from schemas.report import RunReport
from schemas.settings import Settings
from services.job_file import JobFile

_SIMULATED_LEDGER = Path("data/simulated/ledger.db")
_SIMULATED_RESULTS = Path("data/simulated/results")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("run")(run)


def run(
    jobs: Annotated[str, typer.Argument(help="A Parquet file, a folder of them, or a glob.")],
    policy: Annotated[Path | None, typer.Option(help="The policy file (TOML).")] = None,
    ledger: Annotated[str | None, typer.Option(help="A SQLAlchemy URL, such as sqlite:///ledger.db.")] = None,
    results: Annotated[Path | None, typer.Option(help="The folder for results.")] = None,
    max_input_tokens: Annotated[
        int | None, typer.Option(min=1, help="A job over so many input tokens goes to review.")
    ] = None,
    run_budget_usd: Annotated[
        str | None, typer.Option(help="The most this run may hold and spend, in USD, such as 12.50.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many rows.")] = None,
    mode: Annotated[
        Mode | None, typer.Option(help="messages: now; batches: half the price, within 24 hours.")
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Against a local simulator: no key, no money.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")
    ] = False,
) -> None:
    """Weigh every job, send what fits, park the rest for review, reconcile the bill.

    Ends with 0 when complete, 2 on bad arguments or input, 3 on a budget stop, 4 when jobs were rejected, failed or
    are of unknown outcome, 1 on anything else.
    """
    if simulate:
        ledger = ledger or os.environ.get("WEIGHBRIDGE_LEDGER") or f"sqlite:///{_SIMULATED_LEDGER.absolute()}"
        results = results or Path(os.environ.get("WEIGHBRIDGE_RESULTS") or _SIMULATED_RESULTS)
    try:
        # what is plainly wrong is said at once, before a Prefect server starts
        JobFile(jobs)
        read_policy(policy or Settings().policy)
        with _endpoint(simulate=simulate) as base_url:
            report = _run_flow(
                jobs,
                policy=str(policy) if policy else None,
                ledger=ledger,
                results=str(results) if results else None,
                max_input_tokens=max_input_tokens,
                run_budget_usd=run_budget_usd,
                limit=limit,
                base_url=base_url,
                mode=mode.value if mode else None,
            )
    except Exception as error:
        if as_json:
            words = (
                str(error) if isinstance(error, WeighbridgeError) else UNEXPECTED.format(type(error).__name__)
            )
            print(RunReport(run_id="", outcome=RunOutcome.FAILED, error=words).model_dump_json())
        raise
    if as_json:
        print(report.model_dump_json())
    else:
        print_report(report)
    raise typer.Exit(EXIT_CODES[report.outcome])


def _run_flow(jobs: str, **options: Any) -> RunReport:
    """The report of one flow run in this process."""
    from flows.nightly_batch import nightly_batch  # noqa: PLC0415 - Prefect is imported after its settings

    with _progress_bar():
        return RunReport.model_validate(result_of(nightly_batch, jobs, **options))


@contextlib.contextmanager
def _progress_bar() -> Iterator[None]:
    """A bar on stderr while jobs are sent, where there is a terminal to show it on."""
    from tasks.show_progress import LISTENER  # noqa: PLC0415 - Prefect is imported after its settings

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("jobs", total=None)
        LISTENER.set(lambda ended, total: progress.update(bar, completed=ended, total=total))
        yield


@contextlib.contextmanager
def _endpoint(*, simulate: bool) -> Iterator[str | None]:
    """The API's address for this run; None leaves it to the environment.

    Raises:
        BadInput: there is neither a key, nor an address, nor --simulate.
    """
    if simulate:
        from services.simulator.process import running_simulator  # noqa: PLC0415 - only when asked for

        log = Path("data/simulated/billed.jsonl")
        log.parent.mkdir(parents=True, exist_ok=True)
        os.environ["ANTHROPIC_API_KEY"] = "simulated"
        with running_simulator(log=log) as simulator:
            yield simulator.base_url
        return
    from services.gateway import client_for  # noqa: PLC0415 - the SDK takes seconds to import

    client_for()
    yield None
