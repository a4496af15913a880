"""This process, as another one can recognise it: host, boot, pid namespace, pid, and when it began."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """What tells one process from every other; a pid alone says nothing across namespaces and boots.

    Attributes:
        boot_id: of the running kernel; None where the system does not say it.
        pid_namespace: of the pid; None where the system does not say it.
        started: ticks since the boot at which the process began, which no change of the clock moves; on systems
            without them, seconds since the epoch.
    """

    host: str
    boot_id: str | None
    pid_namespace: str | None
    pid: int
    started: int


def this_process() -> ProcessIdentity:
    """The identity of this process."""
    return ProcessIdentity(
        host=socket.gethostname()[:255],
        boot_id=_boot_id(),
        pid_namespace=_pid_namespace(),
        pid=os.getpid(),
        started=_started(os.getpid()) or 0,
    )


def is_surely_gone(process: ProcessIdentity) -> bool:
    """Whether a process has surely ended. False where that cannot be told from here: only its lease can tell then."""
    here = this_process()
    if process.boot_id is None or process.pid_namespace is None or process.started == 0:
        return False
    if process.boot_id != here.boot_id or process.pid_namespace != here.pid_namespace:
        return False
    return _started(process.pid) != process.started


def _boot_id() -> str | None:
    return _read(_PROC / "sys/kernel/random/boot_id")


def _pid_namespace() -> str | None:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process began, or None when there is none of that pid."""
    stat = _read(_PROC / str(pid) / "stat")
    if stat is not None:
        # the name, in parentheses, may hold anything; field 22 is the start, in ticks since the boot (proc(5))
        return int(stat.rpartition(")")[2].split()[19])
    if _PROC.joinpath("self").exists():
        return None
    try:
        return int(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
