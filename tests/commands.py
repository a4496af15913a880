"""The `weighbridge` command as a process: from its file, as a person starts it, or from a server that is warm; and the simulator."""

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from unittest import mock

import pytest

import simulator.process
from tests.processes import BIN, ROOT, SECONDS, clean_environment, stop, until


@dataclass
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one JSON object on stdout; fails when there is anything else."""
        assert self.out.endswith("\n"), self.told()
        assert self.out.count("\n") == 1, self.told()
        return json.loads(self.out)

    @property
    def sentence(self):
        """What stderr says, which is one line."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.told()
        assert lines[0].startswith("weighbridge: "), self.told()
        return lines[0].removeprefix("weighbridge: ")

    def told(self):
        return f"code {self.code}; stdout: {self.out[:400]!r}; stderr ends: {self.err[-700:]!r}"


class Command:
    """A command under way, in a process group of its own; it ends with the block."""

    #: the file that a person starts
    program = BIN / "weighbridge"

    def __init__(
        self, arguments: Sequence[object], cwd: Path, env: dict[str, str], server: Path | None = None
    ) -> None:
        """Start it.

        Args:
            arguments: what follows `weighbridge`.
            cwd: its folder.
            env: its environment.
            server: the socket of one that is warm; None: from its file.
        """
        words = [str(argument) for argument in arguments]
        self._files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - they end with the object
        out, err = (file.fileno() for file in self._files)
        if server is None:
            self.process = subprocess.Popen(
                [self.program, *words],
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        else:
            with Path(os.devnull).open("rb") as nothing:
                asked = {"arguments": words, "cwd": str(cwd), "env": env}
                self.process = Forked(server, asked, [nothing.fileno(), out, err])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)

    @property
    def out(self) -> str:
        """What it has written on stdout so far."""
        return self._written(0)

    @property
    def err(self) -> str:
        """What it has written on stderr so far."""
        return self._written(1)

    def _written(self, number: int) -> str:
        file = self._files[number].fileno()  # read by place: the command shares the file's position
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def first_line(self) -> str:
        """The first line on stdout, as soon as it is there."""
        until(lambda: "\n" in self.out or self.has_ended(), "a first line")
        assert "\n" in self.out, self.err
        return self.out.partition("\n")[0]

    def has_ended(self) -> bool:
        """Whether there is nothing left of it to wait for."""
        return self.process.poll() is not None

    def until(self, found: Callable[[], object], what: str) -> None:
        """Wait until something is so while it runs; a test in which it ends before that fails with what it wrote."""
        until(lambda: found() or self.has_ended(), what)
        assert not self.has_ended(), self.err

    def signal(self, number: int) -> None:
        """Send its group a signal."""
        os.killpg(self.process.pid, number)

    def finish(self) -> Ended:
        """Wait for its end; one that does not end is made to say on stderr where it hangs."""
        with self:
            try:
                code = self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGABRT)
                self.process.wait(20)
                pytest.fail(f"still running after {SECONDS} s: {self.err[-3000:]}")
        return Ended(code, self.out, self.err)


class Forked:
    """A process of a warm server, with what the tests use of `subprocess.Popen`."""

    def __init__(self, server: Path, asked: dict[str, object], files: list[int]) -> None:
        """Start it.

        Args:
            server: the socket of the server.
            asked: its arguments, its folder and its environment.
            files: the descriptors of its stdin, stdout and stderr.
        """
        self.returncode: int | None = None
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(server))
        socket.send_fds(self._line, [json.dumps(asked).encode() + b"\n"], files)
        self.pid = self._number(SECONDS)

    def _number(self, timeout: float | None) -> int:
        self._line.settimeout(timeout)
        text = self._line.recv(1)
        self._line.settimeout(SECONDS)
        while not text.endswith(b"\n"):
            text += self._line.recv(1)
        return int(text)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, or the negative number of the signal that ended it."""
        if self.returncode is None:
            try:
                self.returncode = self._number(timeout)
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired("weighbridge", timeout or 0) from error
            self._line.close()
        return self.returncode

    def poll(self) -> int | None:
        """The same, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Make it end."""
        self.send_signal(signal.SIGKILL)


class ForkedSimulator(Forked):
    """A simulator of a warm server, which ends when its `stdin` is closed."""

    def __init__(self, server: Path, command: list[str], errors: IO[bytes]) -> None:
        """Start it, as `simulator.process` starts `command`: python -m simulator, and its options."""
        given, written = os.pipe(), os.pipe()
        asked = {"arguments": command[3:], "cwd": str(ROOT), "env": dict(os.environ)}
        super().__init__(server, asked, [given[0], written[1], errors.fileno()])
        os.close(given[0])
        os.close(written[1])
        self.stdin = os.fdopen(given[1], "wb")
        self.stdout = os.fdopen(written[0], "rb")


@contextmanager
def forked_simulators(folder: Path) -> Iterator[None]:
    """Have simulators forked; the server that forks them lies in `folder` and starts when one is first asked for."""
    with contextlib.ExitStack() as ends:

        @functools.cache
        def server() -> Path:
            return ends.enter_context(warm_server("simulator", folder, clean_environment(folder)))

        with mock.patch.object(
            simulator.process, "_start", lambda command, errors: ForkedSimulator(server(), command, errors)
        ):
            yield


@contextmanager
def warm_server(program: str, folder: Path, env: dict[str, str]) -> Iterator[Path]:
    """The socket of a server that forks processes.

    Args:
        program: of which: weighbridge or simulator.
        folder: where the socket is.
        env: its environment; the Prefect settings in it are those of each process.
    """
    address = folder / "warm"
    command = [sys.executable, ROOT / "tests/warm_server.py", address, program]
    child = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        until(lambda: address.exists() or child.poll() is not None, "the warm server")
        assert child.poll() is None
        yield address
    finally:
        child.terminate()
        child.wait(20)
