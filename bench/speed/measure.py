"""One command, measured: its seconds, its CPU and its peak memory, its children's included."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from simulator.process import running_simulator

WEIGHBRIDGE = str(Path(sys.executable).parent / "weighbridge")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command took.

    Attributes:
        seconds: from start to exit.
        cpu: seconds of CPU, children's included.
        peak: most memory of its own process, MiB; children such as Prefect's server are not in it.
        said: the JSON that it printed last.
    """

    seconds: float
    cpu: float
    peak: int
    said: dict[str, Any]


def measured(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: it printed no JSON.
    """
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    out = process.stdout.read().decode()
    # wait4 gives the CPU of this child and of those that it waited for
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    found = re.search(r"^\{.*\}\s*\Z", out, re.DOTALL | re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{command[:3]} printed no JSON")
    return Measured(
        round(time.monotonic() - began, 2),
        round(used.ru_utime + used.ru_stime, 2),
        used.ru_maxrss // 1024,
        json.loads(found.group()),
    )


@contextmanager
def stand_in(folder: Path) -> Iterator[str]:
    """The stand-in of bench.speed.stand_in as a process; its base URL."""
    models = folder / "models.json"
    if not models.exists():
        with running_simulator() as simulator:
            headers = {"x-api-key": "stand-in", "anthropic-version": "2026-10-21"}
            asked = Request(f"{simulator.base_url}/v1/models?limit=1000", headers=headers)
            with urlopen(asked) as answer:
                models.write_bytes(answer.read())
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.speed.stand_in", str(models)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()
