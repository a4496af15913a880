"""Reads the modules of a program once, and forks a process for each start of it that is asked for.

    python tests/warm_server.py SOCKET weighbridge|simulator

The process has its own folder, environment, files, group and death like any other, and the code that it runs is the
program's; only the seconds that Python takes to read Prefect, the SDK and the rest are not spent again. That the
program starts at all is shown by the tests that start it from its file.
"""

import gc
import json
import os
import pkgutil
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: packages whose modules a command may read
PACKAGES = ("cli", "flows", "tasks", "services", "rules", "schemas", "simulator")
#: what Prefect and PyArrow read when a run first needs it
LATER = ("pandas", "fastapi")


def read_command() -> Callable[[], Any]:
    """Read all that a command may read; what runs it."""
    main = import_module("cli.main")
    main.set_up_prefect()  # before Prefect is read
    for package in PACKAGES:
        read_package(package)
    for name in LATER:
        import_module(name)
    return main.main


def read_simulator() -> Callable[[], Any]:
    """Read the simulator; what runs it."""
    read_package("simulator")
    return import_module("simulator.server").main


def read_package(name: str) -> None:
    """Read all modules of a package."""
    package = import_module(name)
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        if ".migrations." not in found.name and not found.name.endswith("__main__"):
            import_module(found.name)


PROGRAMS = {"weighbridge": read_command, "simulator": read_simulator}


def serve(address: str) -> dict[str, Any]:
    """Fork until the parent is gone. Returns in the process of a command: what was asked."""
    parent = os.getppid()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{address}.new")
    listener.listen(16)
    listener.settimeout(5)
    Path(f"{address}.new").rename(address)
    while os.getppid() == parent:
        with suppress(TimeoutError):
            line, _ = listener.accept()
            if os.fork():
                line.close()
            elif asked := forked(line):
                listener.close()
                return asked
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    sys.exit()


def forked(line: socket.socket) -> dict[str, Any] | None:
    """Fork a command, and tell its process id and then its exit code; in the command's process, what was asked."""
    line.settimeout(None)
    text, files, _, _ = socket.recv_fds(line, 2**20, 3)
    while not text.endswith(b"\n"):
        text += line.recv(2**20)
    command = os.fork()
    if not command:
        line.close()
        return {**json.loads(text), "files": files}
    line.sendall(f"{command}\n".encode())
    _, status = os.waitpid(command, 0)
    line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(asked: dict[str, Any]) -> None:
    """Make this process the one that was asked for: its group, folder, environment, files and arguments."""
    os.setsid()
    os.chdir(asked["cwd"])
    # Prefect has read its settings: they are those of this server
    settings = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    os.environ.clear()
    os.environ.update(asked["env"] | settings)
    for number, file in enumerate(asked["files"]):
        os.dup2(file, number)
        os.close(file)
    # those that are there know the files of this server, which may be of another kind
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = [sys.argv[2], *asked["arguments"]]


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    program = PROGRAMS[sys.argv[2]]()
    gc.freeze()
    become(serve(sys.argv[1]))
    sys.exit(program())
