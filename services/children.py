"""Processes that one command starts, watches and stops, with all that they start themselves."""

import fcntl
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

#: the end of a log that is shown when its process ended by itself, characters
_LAST_WORDS = 1_500
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ChildCommand:
    """A process to start.

    Attributes:
        name: what a person calls it; its log is called so too.
        environment: all of it: nothing is inherited.
        folder: its current folder.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


class Children:
    """The processes of one command.

    Each has a session of its own: Ctrl-C on a terminal reaches the command alone, which then stops them in order.

    Args:
        logs: the folder for what they write, a file each.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[tuple[ChildCommand, subprocess.Popen[bytes]]] = []

    def start(self, child: ChildCommand) -> None:
        """Start a process."""
        with self.log_of(child.name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - the command is ours
                list(child.command),
                env=dict(child.environment),
                cwd=child.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append((child, process))

    def log_of(self, name: str) -> Path:
        """The file that a process writes into."""
        return self._logs / f"{name.replace(' ', '-')}.log"

    def ended(self) -> str | None:
        """The name of a process that has ended by itself; None while all go on."""
        return next((child.name for child, process in self._running if process.poll() is not None), None)

    def last_words(self, name: str) -> str:
        """The end of what a process wrote."""
        with suppress(OSError):
            return self.log_of(name).read_text(errors="replace")[-_LAST_WORDS:].strip()
        return ""

    def stop(self, patience: float) -> None:
        """Stop all of them, the last one first, and kill what is left.

        What a process started itself is stopped before it: a worker that ends would leave its flow runs behind, or
        kill them before they have closed their books.

        Args:
            patience: how long each of them may take, seconds.
        """
        for _, process in reversed(self._running):
            for members in (_family(process.pid)[:-1], _family(process.pid)):
                _terminate(members, patience)
            process.wait()
        self._running.clear()

    def kill(self) -> None:
        """Kill all of them at once, also while another call waits for them to stop."""
        for _, process in self._running:
            _kill(_family(process.pid))


def _family(pid: int) -> list[psutil.Process]:
    """All that a process and its own started, and it itself as the last; none where it has ended."""
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []


def _terminate(members: Sequence[psutil.Process], patience: float) -> None:
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _await_ends(members, patience)
    _kill([member for member in members if _runs(member)])


def _await_ends(members: Sequence[psutil.Process], seconds: float) -> None:
    """Wait until all of them have ended, at most this long."""
    deadline = time.monotonic() + seconds
    while any(_runs(member) for member in members) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _runs(member: psutil.Process) -> bool:
    """Whether a process has not ended; one that its parent has not heard of yet has ended."""
    with suppress(psutil.NoSuchProcess):
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    return False


def _kill(family: Sequence[psutil.Process]) -> None:
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    _await_ends(family, 5)


def hold_folder(folder: Path) -> int | None:
    """Hold a folder for this process: until it ends, however it does, nobody else can.

    Returns:
        What keeps it held, to be kept open; None when another process holds it.
    """
    handle = os.open(folder / "in-use", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
