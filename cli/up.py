"""`weighbridge up`: the Prefect server, its deployments, a worker and the review page, started and stopped as one."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from cli.alerts.bring_alerts import WebhookOption, bring_alerts
from cli.bring_deployments import bring_deployments
from cli.up_plan import UpPlan, UpPorts
from schemas.alert import AlertChannels
from schemas.errors import BadInput, RunFailed
from schemas.words import masked_url
from services.children import ChildCommand, Children, hold_folder
from services.early_server import ADDRESS_FILE
from services.prefect_home import make_database

#: the first start of a Prefect server migrates its database, which can take a minute on a slow machine
_START_SECONDS = 300.0
#: what is in flight gets 20 seconds to end before a run closes its books; then it reports
_STOP_SECONDS = 40.0
_LOOK_SECONDS = 0.5
#: a shell may send the same Ctrl-C twice
_AGAIN_SECONDS = 1.0
_HOME, _SIMULATED_HOME = Path("data/up"), Path("data/up-simulated")


class _StopAsked(Exception):  # noqa: N818 - somebody asked for it
    """Ctrl-C, SIGTERM, or the terminal was closed."""


class _Watched:
    """The processes, and whether somebody asked to stop them.

    A signal only takes note: raised in the middle of a start, it would leave a process that nobody knows of.
    """

    def __init__(self, children: Children) -> None:
        self.children = children
        self._asked: float | None = None

    def signalled(self, _number: int, _frame: object) -> None:
        """Note that somebody asked; who asks again, more than a moment later, does not want to wait."""
        if self._asked is None:
            self._asked = time.monotonic()
        elif time.monotonic() - self._asked > _AGAIN_SECONDS:
            self.children.kill()

    def look(self) -> None:
        """See that all is well.

        Raises:
            RunFailed: one of the processes ended by itself.
            _StopAsked: somebody asked for it.
        """
        if self._asked is not None:
            raise _StopAsked
        if name := self.children.ended():
            raise RunFailed(self.words(name, "ended by itself"))

    def wait_for(self, child: ChildCommand, ready: Callable[[], bool]) -> None:
        """Wait until a process is ready.

        Raises:
            RunFailed: it takes too long, or one of them ended.
            _StopAsked: somebody asked for it.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            self.look()
            if time.monotonic() > deadline:
                raise RunFailed(self.words(child.name, f"was not ready after {_START_SECONDS:.0f} seconds"))
            time.sleep(_LOOK_SECONDS)

    def words(self, name: str, what: str) -> str:
        """What happened to a process, with the end of its log."""
        return (
            f"The {name} {what}, and all others were stopped. What was held or settled is in the ledger. Its log is "
            f"{self.children.log_of(name)}, and ends:\n{self.children.last_words(name)}"
        )


def up(
    simulate: Annotated[
        bool, typer.Option("--simulate", help="With a simulator on this machine: no key, no money.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The Prefect server's port; 0 chooses a free one.")
    ] = 4200,
    review_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The review page's port; 0 chooses a free one.")
    ] = 8788,
    simulator_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The simulator's port; 0 chooses a free one.")
    ] = 8787,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where all of it is kept between starts; when left out data/up, or data/up-simulated.",
        ),
    ] = None,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset", help="Take back what was changed in the Prefect UI on the deployments and alerts."
        ),
    ] = False,
    webhook: WebhookOption = None,
) -> None:
    """Start the Prefect server, its deployments, a worker and the review page, until Ctrl-C.

    Deployments that are missing are made. What was changed on one in the Prefect UI is named and stays, unless --reset
    is given. The exit code is 0 after Ctrl-C, 2 for a port or a folder that cannot be used, and 1 when one of the
    processes does not start or ends by itself: then all others are stopped.
    """
    ports = UpPorts(*_free(port, review_port, simulator_port if simulate else 0))
    plan = _planned(home, ports, simulate=simulate)
    _check_key(plan)
    _check_webhook(webhook)
    _make_folders(plan)
    held = hold_folder(plan.home)
    if held is None:
        raise BadInput(
            f"Another `weighbridge up` keeps its things in {plan.home}; name another --home, or stop it."
        )
    watched = _Watched(Children(plan.logs))
    with _signals(watched):
        try:
            _start(plan, watched, webhook, reset=reset)
            while True:
                watched.look()
                time.sleep(_LOOK_SECONDS)
        except _StopAsked:
            print("Stopping.", flush=True)
        finally:
            (plan.home / ADDRESS_FILE).unlink(missing_ok=True)
            watched.children.stop(_STOP_SECONDS)
            os.close(held)
    print("All of it has stopped. The next start goes on with what is kept.", flush=True)


def _planned(home: Path | None, ports: UpPorts, *, simulate: bool) -> UpPlan:
    folder = Path.cwd()
    place = folder / (home or (_SIMULATED_HOME if simulate else _HOME))
    return UpPlan(home=place, folder=folder, ports=ports, caller=dict(os.environ), simulate=simulate)


def _free(*ports: int) -> list[int]:
    """The ports, if nobody listens on them; free ones, all of them different, for zeros.

    Raises:
        BadInput: one is in use.
    """
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in ports]
        for port, probe in zip(ports, probes, strict=True):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise BadInput(
                    f"Port {port} of this machine cannot be used ({error.strerror}). Choose another with --port, "
                    "--review-port or --simulator-port. Nothing was started."
                ) from error
        return [probe.getsockname()[1] for probe in probes]


def _check_key(plan: UpPlan) -> None:
    """A worker without a key would fail every night.

    Raises:
        BadInput: there is none.
    """
    if plan.simulate:
        return
    from services.api_client import client_for  # noqa: PLC0415 - the SDK takes a second to import

    client_for()


def _check_webhook(webhook: str | None) -> None:
    """A server would be started in vain for alerts that go nowhere.

    Raises:
        BadInput: it is not an address.
    """
    if webhook is not None:
        from services.notification_blocks import blocks_of  # noqa: PLC0415 - Prefect takes seconds to import

        blocks_of(AlertChannels(webhook=webhook))


def _make_folders(plan: UpPlan) -> None:
    try:
        for folder in (plan.home, plan.logs, plan.results, plan.folder / "data/incoming"):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"The folder {folder} cannot be made ({error.strerror}); name another with --home. Nothing was started."
        ) from error


def _start(plan: UpPlan, watched: _Watched, webhook: str | None, *, reset: bool) -> None:
    """Start everything in its order, and say where it is."""
    from services.deployments import POOL, deployments_of  # noqa: PLC0415 - Prefect takes seconds to import
    from services.ledger import open_ledger  # noqa: PLC0415

    specs = deployments_of()
    open_ledger(plan.ledger_url).close()
    make_database(plan.server_process().environment)
    print("Starting; the first start takes about half a minute.", flush=True)
    first = [(plan.server_process(), f"{plan.prefect_api}/health"), (plan.review_process(), plan.review_page)]
    if plan.simulate:
        first.insert(0, (plan.simulator_process(), f"{plan.simulator}/simulator/stats"))
    for child, _ in first:
        watched.children.start(child)
    for child, address in first:
        watched.wait_for(child, partial(_answers, address))
    bring_deployments(plan.prefect_api, specs, plan.folder, reset=reset)
    if webhook is not None:
        bring_alerts(plan.prefect_api, AlertChannels(webhook=webhook), reset=reset)
    worker = plan.worker_process(POOL)
    watched.children.start(worker)
    watched.wait_for(worker, partial(_works, plan.prefect_api, POOL))
    (plan.home / ADDRESS_FILE).write_text(f"{plan.prefect_api}\n")
    _say_where(plan)


def _works(api: str, pool: str) -> bool:
    from services.cockpit import is_worked  # noqa: PLC0415

    return asyncio.run(is_worked(api, pool))


def _answers(address: str) -> bool:
    """Whether somebody answers there, whatever it is; never over a proxy."""
    place = urlsplit(address)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=5)
    try:
        connection.request("GET", place.path or "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True


def _say_where(plan: UpPlan) -> None:
    simulated = f"\nsimulator    {plan.simulator} (no real API, no real money)" if plan.simulate else ""
    exports = "\n".join(f"  {line}" for line in plan.shell_lines)
    print(
        f"\nPrefect UI   {plan.prefect_ui}\nreview page  {plan.review_page}{simulated}\n"
        f"ledger       {masked_url(plan.ledger_url)}\nresults      {plan.results}\njob files    {plan.folder / 'data/incoming'}\n"
        f"logs         {plan.logs}\n\n"
        "For commands in another shell:\n"
        f"{exports}\n\n"
        "Ctrl-C stops all of it.",
        flush=True,
    )


@contextmanager
def _signals(watched: _Watched) -> Iterator[None]:
    """Ctrl-C and its like are noted meanwhile."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, watched.signalled) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
