"""Starts the simulator next to a test or a trial run, and stops it afterwards."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from simulator.billing.billing_log import read_billed
from simulator.faults.fault_log import read_faults

#: how long the simulator may take to say that it is ready; generous, for a machine under load
START_SECONDS = 60.0

#: how long it may take to answer a question about itself
ANSWER_SECONDS = 60.0

#: how long it may take to stop before it is killed
STOP_SECONDS = 5.0

_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that is running.

    Attributes:
        base_url: what to give the API client as its base URL.
        log: the file of billed messages.
        pid: its process id.
    """

    base_url: str
    log: Path
    pid: int

    def stats(self) -> dict[str, Any]:
        """What GET /simulator/stats answers: requests by endpoint and status, billed, unbilled, billed_nano_usd."""
        with urllib.request.urlopen(f"{self.base_url}/simulator/stats", timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            stats: dict[str, Any] = json.load(answer)
        return stats

    def advance_clock(self, seconds: float) -> None:
        """Put the API's clock forward: cache entries and batches grow older, and what is dated from now on is dated later.

        Args:
            seconds: by how much, above zero.
        """
        body = json.dumps({"advance_seconds": seconds}).encode()
        with urllib.request.urlopen(f"{self.base_url}/simulator/clock", body, timeout=ANSWER_SECONDS):  # noqa: S310
            pass

    def faults(self) -> list[dict[str, Any]]:
        """The lines of the fault log so far, one per fault that struck."""
        return read_faults(self.log)

    def billed(self) -> list[dict[str, Any]]:
        """The lines of the billing log so far, one per accepted message."""
        return read_billed(self.log)


@contextlib.contextmanager
def running_simulator(
    log: str | Path | None = None, plan: str | Path | None = None
) -> Iterator[RunningSimulator]:
    """Run a simulator on a free port as a process of its own.

    Args:
        log: file of billed messages; None for a temporary one that goes when the block ends.
        plan: TOML file with latencies, limits and faults.

    Yields:
        the running simulator.

    Raises:
        RuntimeError: if it does not get ready; the message holds what it wrote on stderr.
    """
    with starting_simulator(log, plan) as ready:
        yield ready()


@contextlib.contextmanager
def starting_simulator(
    log: str | Path | None = None, plan: str | Path | None = None
) -> Iterator[Callable[[], RunningSimulator]]:
    """Start a simulator, as `running_simulator` does, and do something else until it is needed.

    Yields:
        what waits until it is ready and returns it; call it once.
    """
    with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
        chosen = Path(log) if log is not None else Path(folder) / "billed.jsonl"
        command = [sys.executable, "-m", "simulator", "--port", "0", "--stop-at-eof"]
        command += ["--log", str(chosen.resolve())]
        if plan is not None:
            command += ["--plan", str(Path(plan).resolve())]
        with (Path(folder) / "stderr").open("w+b") as errors:
            child = _start(command, errors)
            try:
                yield lambda: _ready(child, errors)
            finally:
                _stop(child)


def _start(command: list[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603
        command,
        cwd=_ROOT,
        env=_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
    )


def _ready(child: subprocess.Popen[bytes], errors: IO[bytes]) -> RunningSimulator:
    said = _wait_until_ready(child, errors)
    return RunningSimulator(said["base_url"], Path(said["log"]), child.pid)


def _environment() -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), inherited)))}


def _wait_until_ready(child: subprocess.Popen[bytes], errors: IO[bytes]) -> dict[str, Any]:
    """The ready line; raises if the child ends or takes too long."""
    assert child.stdout is not None  # noqa: S101 - Popen was given a pipe
    deadline = time.monotonic() + START_SECONDS
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            read = os.read(child.stdout.fileno(), 4_096)
            if not read:
                break
            line += read
    if line.endswith(b"\n"):
        ready: dict[str, Any] = json.loads(line)
        return ready
    errors.seek(0)
    said = errors.read().decode(errors="replace").strip()
    raise RuntimeError(
        f"the simulator did not start within {START_SECONDS:g} s: {said or 'it wrote nothing'}"
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
