"""The Prefect server of one command, started before the command's own modules are imported, which takes as long.

Where a server is configured or `weighbridge up` runs one in this folder, that one is used. Where it is not plain that
none is configured, nothing is done here: Prefect then reads its settings, and starts a server itself, one after the
other. Nothing of Prefect is imported in this module.
"""

import atexit
import socket
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from schemas.errors import RunFailed
from services.prefect_home import home_of

#: the file in a home of `weighbridge up` with the address of the server that it runs
ADDRESS_FILE = "prefect-api"
_HOMES = (Path("data/up"), Path("data/up-simulated"))
#: of a server that shows no UI, registers no blocks and ends with the command
_SETTINGS = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
}
#: a certificate whose key nobody has: Prefect needs a file with one at least
_NO_AUTHORITY = Path(__file__).with_name("no_authority.pem")
_HERE = ("127.0.0.1", "localhost")
_STOP_SECONDS = 5
#: what Prefect, the prices and Arrow import in the middle of every run, half a second in all
_NEEDED_SOON = (
    "fastapi.encoders",
    "prefect.flow_engine",
    "prefect.task_engine",
    "genai_prices.data",
    "pandas",
)
#: a server of `weighbridge up` is on this machine and answers at once, or is busy and not to be waited for; seconds
_LOOK_SECONDS = 2.0


class EarlyServer:
    """A server process that may still be starting.

    Attributes:
        api: its address.
    """

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._environment = environment
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(100)
            self.api = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            descriptor = listening.fileno()
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [sys.executable, "-P", "-m", "services.prefect_process", str(descriptor)],
                env={**environment, **_SETTINGS},
                stdin=subprocess.PIPE,
                pass_fds=[descriptor],
                start_new_session=True,  # Ctrl-C reaches the command alone, which then closes its books
            )
        atexit.register(self.stop)

    def wait_until_ready(self) -> None:
        """Wait for its first answer.

        Raises:
            RunFailed: it ended by itself, or was not ready in time.
        """
        patience = float(self._environment.get("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180"))
        if not answers(self.api, patience):
            raise RunFailed(
                "The Prefect server that a run starts for itself did not start. Nothing was sent. Look at "
                f"{home_of(self._environment)}, or start a server with `weighbridge up`, then repeat the command."
            )

    def stop(self) -> None:
        """End it, and wait for its end."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


_started: list[EarlyServer] = []


def ends_with_us(api: str | None) -> bool:
    """Whether the server at this address is one that this process has started, and that ends with it."""
    return any(server.api == api for server in _started)


def start_early(environment: MutableMapping[str, str]) -> None:
    """Name a server that runs in the environment, or start one and name that, if it is plain that none is configured.

    Args:
        environment: of this process.
    """
    if "prefect" in sys.modules or _may_name_a_server(environment):
        return
    api = next(_running(), None)
    if api is None:
        server = EarlyServer(environment)
        _started.append(server)
        api = server.api
    environment["PREFECT_API_URL"] = api


def trust_nobody_here(environment: MutableMapping[str, str]) -> None:
    """Leave out what Prefect trusts, where its server is on this machine and speaks plain HTTP.

    Prefect reads every authority of the web for each of the clients that a run makes, 30 ms of CPU each.

    Args:
        environment: of this process; its setting of Prefect is only set where there is none.
    """
    place = urlsplit(environment.get("PREFECT_API_URL", ""))
    if place.scheme == "http" and place.hostname in _HERE:
        environment.setdefault("PREFECT_API_SSL_CERT_FILE", str(_NO_AUTHORITY))


def wait_for_early_server() -> None:
    """Wait until the server that was started for this process answers; at once where none was.

    Raises:
        RunFailed: it did not start.
    """
    for server in _started:
        for name in _NEEDED_SOON:
            import_module(name)
        server.wait_until_ready()


def _running() -> Iterator[str]:
    """The servers of `weighbridge up` in this folder that answer."""
    for home in _HOMES:
        with suppress(OSError):
            api = (home / ADDRESS_FILE).read_text().strip()
            if urlsplit(api).hostname == "127.0.0.1" and answers(api, _LOOK_SECONDS):
                yield api


def answers(api: str, patience: float) -> bool:
    """Whether the server at this address says within some seconds that it is well."""
    place = urlsplit(api)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=patience)
    try:
        connection.request("GET", f"{place.path}/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _may_name_a_server(environment: MutableMapping[str, str]) -> bool:
    """Whether any of Prefect's settings may say which server to use, or that none may be started."""
    named = {
        "PREFECT_API_URL",
        "PREFECT_PROFILE",
        "PREFECT_PROFILES_PATH",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE",
    }
    if named & environment.keys():
        return True
    texts = [_text(home_of(environment) / "profiles.toml"), _text(Path("prefect.toml")), _text(Path(".env"))]
    tables = _text(Path("pyproject.toml")).partition("[tool.prefect")[2]
    return any("api" in text.lower() or "ephemeral_mode" in text.lower() for text in [*texts, tables])


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
