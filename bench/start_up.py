"""What a small run waits for: imports, Prefect's server, and the run itself; as a table and as JSON.

    python -m bench.start_up [--rows 118] [--repeat 3] [--json]

Each case is the command in a process of its own over the sample jobs, against the simulator: `cold` with a new Prefect
home and a new ledger, `warm` with the home of the case before, `with a server` with a Prefect server that runs
already, and the imports alone. Seconds by the clock, and CPU seconds of the command and of all that it started: on a
machine with other work only these can be compared. The fastest of the repetitions counts.
"""

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.main import set_up_prefect
from services.early_server import EarlyServer

ROOT = Path(__file__).resolve().parents[1]
JOBS = ROOT / "data/samples/jobs.parquet"
_IMPORTS = "from cli.main import set_up_prefect; set_up_prefect(); from cli.main import COMMANDS; COMMANDS[0].imported()"
#: what is set where this is measured: where modules may not be kept compiled, our own would be compiled in each process,
#: which those of an installed package never are
_NOT_OURS = ("PREFECT_", "WEIGHBRIDGE_", "PYTHONDONTWRITEBYTECODE")
#: commands that run no flow
_LOOKS = {"--help": ["--help"], "runs": ["runs"], "review list": ["review", "list"], "report": ["report"]}


@dataclass(frozen=True)
class StartUp:
    """What one case took, in seconds; None: it has no first count."""

    case: str
    first_count: float | None
    exit: float
    cpu: float


@dataclass(frozen=True)
class Timed:
    """A command that has ended."""

    seconds: float
    cpu: float
    first_count: float | None


def timed(command: list[str], environment: dict[str, str], folder: Path, ledger: Path | None = None) -> Timed:
    """Run a command; with a ledger, also see when the first count is in it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    counted = None
    with subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.DEVNULL) as child:
        while child.poll() is None:
            if ledger is not None and counted is None and _has_counts(ledger):
                counted = time.monotonic() - started
            time.sleep(0.02)
    if child.returncode not in (0, 4):  # 4: the samples have broken rows on purpose
        raise SystemExit(f"{command} ended with {child.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed(time.monotonic() - started, cpu, counted)


def _has_counts(ledger: Path) -> bool:
    """Whether the provider has counted anything for this ledger."""
    if not ledger.exists():
        return False
    try:
        connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
        found = connection.execute("SELECT 1 FROM counts LIMIT 1").fetchone()
        connection.close()
    except sqlite3.Error:
        return False
    return found is not None


@contextmanager
def _server(environment: dict[str, str]) -> Iterator[str]:
    server = EarlyServer(environment)
    try:
        server.wait_until_ready()
        yield server.api
    finally:
        server.stop()


class Bench:
    """The cases, in a folder that goes away afterwards."""

    def __init__(self, folder: Path, rows: int) -> None:
        self._folder = folder
        self._rows = rows
        self._number = 0
        for name in [name for name in os.environ if name.startswith(_NOT_OURS)]:
            del os.environ[name]
        set_up_prefect()  # the server that runs already has the settings of one that a run starts
        self._environment = {**os.environ, "COLUMNS": "120"}
        self._home = folder / "home"

    def run(self, *, cold: bool, api: str | None = None) -> Timed:
        """A run over the samples with a ledger of its own."""
        self._number += 1
        folder = self._folder / f"run-{self._number}"
        folder.mkdir()
        ledger = folder / "ledger.db"
        if cold:
            self._home = folder / "home"
        environment = {**self._environment, "PREFECT_HOME": str(self._home)}
        if api:
            environment["PREFECT_API_URL"] = api
        command = [*_WEIGHBRIDGE, "run", str(JOBS), "--simulate", "--limit", str(self._rows)]
        command += ["--ledger", f"sqlite:///{ledger}", "--results", str(folder / "results")]
        return timed(command, environment, folder, ledger)

    def with_server(self, repeat: int) -> list[Timed]:
        """Runs with a server that runs already; the first one, in which the server reads its last modules, is left out."""
        with _server({**self._environment, "PREFECT_HOME": str(self._home)}) as api:
            return [self.run(cold=False, api=api) for _ in range(repeat + 1)][1:]

    def look(self, arguments: list[str]) -> Timed:
        """A command that runs no flow, over the ledger of the first run."""
        environment = {
            **self._environment,
            "WEIGHBRIDGE_LEDGER": f"sqlite:///{self._folder / 'run-1/ledger.db'}",
        }
        return timed([*_WEIGHBRIDGE, *arguments], environment, self._folder)

    def imports(self) -> Timed:
        """The imports of `run`, and nothing else."""
        return timed([sys.executable, "-c", _IMPORTS], self._environment, ROOT)


_WEIGHBRIDGE = [str(Path(sys.executable).with_name("weighbridge"))]


def measured(rows: int, repeat: int) -> list[StartUp]:
    """All cases, each the fastest of its repetitions."""
    with tempfile.TemporaryDirectory(prefix="start-up-") as folder:
        bench = Bench(Path(folder), rows)
        cases = {
            "run, cold": [bench.run(cold=True) for _ in range(repeat)],
            "run, warm": [bench.run(cold=False) for _ in range(repeat)],
            "run, with a server": bench.with_server(repeat),
            "imports of run": [bench.imports() for _ in range(repeat)],
        }
        cases |= {name: [bench.look(words) for _ in range(repeat)] for name, words in _LOOKS.items()}
    return [_fastest(name, times) for name, times in cases.items()]


def _fastest(name: str, times: list[Timed]) -> StartUp:
    counts = [one.first_count for one in times if one.first_count is not None]
    first_count = round(min(counts), 2) if counts else None
    seconds, cpu = min(one.seconds for one in times), min(one.cpu for one in times)
    return StartUp(name, first_count, round(seconds, 2), round(cpu, 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=118)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measured(options.rows, options.repeat)
    if options.json:
        print(json.dumps({"rows": options.rows, "cases": [asdict(one) for one in found]}))
        return
    print(f"{'case':22}{'first count':>12}{'exit':>8}{'CPU':>8}   seconds")
    for one in found:
        first = "" if one.first_count is None else f"{one.first_count:.2f}"
        print(f"{one.case:22}{first:>12}{one.exit:>8.2f}{one.cpu:>8.2f}")


if __name__ == "__main__":
    main()
