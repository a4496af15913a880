"""The hosts on which commands run: this one, and one with the same name and a pid namespace of its own."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.commands import Command, warm_server
from tests.processes import ROOT, until

#: starts a process as the first one of its own pid namespace, and ends it with everything in it
UNSHARED = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
_PROC = Path("/proc")


@dataclass(frozen=True)
class Host:
    """Where commands are forked.

    Attributes:
        warm: the socket of the server that forks them.
        namespace: the pid namespace they are in; None: that of this process.
    """

    warm: Path
    namespace: str | None = None

    def pid_here(self, pid: int) -> int | None:
        """The pid by which this process knows a process of that host; None when it is gone."""
        if self.namespace is None:
            return pid
        for folder in _PROC.glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str((folder / "ns/pid").readlink()) != self.namespace:
                    continue
                pids = re.search(r"^NSpid:\s(.+)$", (folder / "status").read_text(), re.MULTILINE)
                if pids and int(pids[1].split()[-1]) == pid:
                    return int(folder.name)
        return None


class Running:
    """A command under way on a host."""

    def __init__(self, host: Host, arguments: Sequence[object], cwd: Path, env: dict[str, str]) -> None:
        self._host = host
        self.arguments = arguments
        self._command = Command(arguments, cwd, env, host.warm)

    @property
    def code(self) -> int | None:
        """Its exit code, the negative number of the signal that ended it, or None while it runs."""
        code: int | None = self._command.process.poll()
        return code

    @property
    def json(self) -> Any:
        """What it printed as JSON; None when it did not."""
        with contextlib.suppress(ValueError):
            return json.loads(self._command.out)
        return None

    @property
    def last_words(self) -> str:
        """How its stderr ends."""
        return self._command.err.strip()[-300:].replace("\n", " | ")

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end; whether it came."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._command.process.wait(max(seconds, 0.01))
            return True
        return False

    def signal(self, number: int) -> bool:
        """Send its group a signal, if it still runs; whether it did."""
        pid = self._host.pid_here(self._command.process.pid)
        if self.code is not None or pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, number)
            return True
        return False

    def kill(self) -> bool:
        """End it at once, also while it is stopped; whether it was still running."""
        was_running = self.signal(signal.SIGKILL)
        self.ends_within(20)
        return was_running


@contextmanager
def hosts(folder: Path, env: dict[str, str]) -> Iterator[tuple[Host, Host | None]]:
    """This host, and another one where the machine allows it; None otherwise, with a sentence on stderr."""
    with warm_server("weighbridge", folder, env) as warm, _other_host(folder / "other", env) as other:
        yield Host(warm), other


@contextmanager
def _other_host(folder: Path, env: dict[str, str]) -> Iterator[Host | None]:
    if not _may_unshare():
        print("Left out: two hosts over one ledger; this user may not make a pid namespace.", file=sys.stderr)
        yield None
        return
    folder.mkdir()
    address = folder / "warm"
    command = [*UNSHARED, sys.executable, ROOT / "tests/warm_server.py", address, "weighbridge"]
    child = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: address.exists() or child.poll() is not None, "the other host")
        [first] = _children(child.pid)
        yield Host(address, str((_PROC / str(first) / "ns/pid").readlink()))
    finally:
        child.kill()
        child.wait()


def _may_unshare() -> bool:
    try:
        tried = subprocess.run([*UNSHARED, "true"], capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def _children(pid: int) -> list[int]:
    listed = (_PROC / str(pid) / "task" / str(pid) / "children").read_text()
    return [int(child) for child in listed.split()]
