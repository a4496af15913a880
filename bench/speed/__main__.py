"""How fast, how flat: everything side by side in one run, beside its target.

    python -m bench.speed [--rows 5000] [--rounds 3] [--memory 10000,100000] [--again 100000] [--limiter 130]
        [--out FIGURES.json]

Against a stand-in process that costs next to nothing (batches: against the simulator), so that the client is measured:
jobs a second of the hand-written script, of `run`, of a quote that only counts, and of a pipeline with a task run per
item; CPU a job; peak memory by rows, in both modes; a finished run again; and what bench.start_up, bench.scaling and
bench.limiter measure. Prints a table, and one JSON line. `--memory`, `--again` and `--limiter` of 0 leave those out.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.speed.files import POLICY, make_jobs
from bench.speed.measure import WEIGHBRIDGE, Measured, measured, stand_in
from bench.speed.targets import table
from simulator.process import running_simulator

#: a command's start-up is what this many jobs take
FEW = 20


@dataclass(frozen=True, slots=True)
class Bench:
    """A folder for the files of the measurements, and what commands are run with.

    Attributes:
        base_url: what answers.
    """

    folder: Path
    base_url: str

    def jobs(self, rows: int) -> Path:
        path = self.folder / f"jobs-{rows}.parquet"
        return path if path.exists() else make_jobs(path, rows)

    def environment(self) -> dict[str, str]:
        env = {
            **os.environ,
            "ANTHROPIC_BASE_URL": self.base_url,
            "ANTHROPIC_API_KEY": "stand-in",
            "PREFECT_HOME": str(self.folder / "prefect"),
        }
        env.pop("PREFECT_API_URL", None)
        return env

    def fresh(self) -> None:
        """Without a ledger and results."""
        for path in self.folder.glob("ledger.db*"):
            path.unlink()
        shutil.rmtree(self.folder / "results", ignore_errors=True)

    def run(self, rows: int, *options: str, again: bool = False) -> Measured:
        """`weighbridge run` of this many rows, on a fresh ledger or, again, on the one that is there."""
        if not again:
            self.fresh()
        command = [WEIGHBRIDGE, "run", str(self.jobs(rows)), *self._places(), "--results"]
        return measured([*command, str(self.folder / "results"), "--json", *options], self.environment())

    def quote(self, rows: int) -> Measured:
        """`weighbridge quote` of this many rows, on a fresh ledger."""
        self.fresh()
        command = [WEIGHBRIDGE, "quote", str(self.jobs(rows)), *self._places(), "--json"]
        return measured(command, self.environment())

    def module(self, name: str, rows: int) -> Measured:
        """One of the programs of this folder on this many rows."""
        command = [sys.executable, "-m", f"bench.speed.{name}", str(self.jobs(rows))]
        return measured([*command, str(self.folder / "answers.jsonl")], self.environment())

    def _places(self) -> list[str]:
        policy = self.folder / "policy.toml"
        policy.write_text(POLICY)
        return ["--policy", str(policy), "--ledger", f"sqlite:///{self.folder}/ledger.db"]


def side_by_side(bench: Bench, rows: int, rounds: int) -> dict[str, Any]:
    """Jobs a second and CPU a job of four ways to do the same, turn by turn; medians."""
    bench.run(FEW)  # Prefect's own database is made once
    start_up = median(bench.run(FEW).cpu for _ in range(rounds))
    found: dict[str, list[Measured]] = {"script": [], "run": [], "quote": [], "task_per_item": []}
    for _ in range(rounds):
        found["script"].append(bench.module("script", rows))
        found["run"].append(bench.run(rows))
        found["quote"].append(bench.quote(rows))
    found["task_per_item"].append(bench.module("task_per_item", rows))
    of_a_few = median(bench.quote(FEW).seconds for _ in range(rounds))
    took = {name: median(seconds_of(one) for one in found[name]) for name in found if name != "quote"}
    took["quote"] = median(one.seconds for one in found["quote"]) - of_a_few
    speed = {name: round(rows / seconds, 1) for name, seconds in took.items()}
    return {
        "rows": rows,
        "jobs_per_second": speed,
        "run_to_script": round(speed["run"] / speed["script"], 2),
        "run_to_task_per_item": round(speed["run"] / speed["task_per_item"], 1),
        "cpu_ms_per_job": {
            "script": round(median(one.cpu for one in found["script"]) / rows * 1_000, 2),
            "run": round((median(one.cpu for one in found["run"]) - start_up) / (rows - FEW) * 1_000, 2),
            "task_per_item": round(found["task_per_item"][0].cpu / rows * 1_000, 2),
        },
        "seconds_with_start_up": {name: median(one.seconds for one in some) for name, some in found.items()},
    }


def seconds_of(one: Measured) -> float:
    """The seconds of the work itself, as the program that did it says."""
    return float(one.said["seconds"])


def in_messages(bench: Bench, sizes: list[int], again: int) -> dict[str, Any]:
    """Peak memory of a run's process by rows, MiB, and a run of `again` rows done over: its seconds and its calls."""
    peaks: dict[int, int] = {}
    figures: dict[str, Any] = {"peak_mib": peaks}
    for rows in sorted({*sizes, again} - {0}):
        first = bench.run(rows)
        if rows in sizes:
            peaks[rows] = first.peak
        if rows == again:
            second = bench.run(rows, again=True)
            figures["again"] = {
                "rows": rows,
                "first_seconds": seconds_of(first),
                "seconds": seconds_of(second),
                "seconds_with_start_up": second.seconds,
                "peak_mib": second.peak,
                "calls": second.said["calls"]["count"] + second.said["calls"]["message"],
            }
    return figures


def in_batches(bench: Bench, sizes: list[int]) -> dict[int, int]:
    """Peak memory of a run's process by rows, MiB."""
    with running_simulator(log=bench.folder / "billed.jsonl") as simulator:
        batches = Bench(bench.folder, simulator.base_url)
        return {rows: batches.run(rows, "--mode", "batches").peak for rows in sizes}


def other(module: str, *options: str) -> Any:
    """The JSON of another measurement of this folder."""
    done = subprocess.run([sys.executable, "-m", module, *options], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def _bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="speed-") as name, stand_in(Path(name)) as base_url:
        yield Bench(Path(name), base_url)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.speed")
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="10000,100000")
    parser.add_argument("--again", type=int, default=100_000)
    parser.add_argument("--limiter", type=float, default=130.0, help="seconds of each of its ten cases")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sizes = [int(size) for size in given.memory.split(",") if int(size)]
    with _bench() as bench:
        figures: dict[str, Any] = {"side_by_side": side_by_side(bench, given.rows, given.rounds)}
        found = in_messages(bench, sizes, given.again)
        if given.again:
            figures["again"] = found["again"]
        if sizes:
            peaks = {"messages": found["peak_mib"], "batches": in_batches(bench, sizes)}
            figures["memory"] = {"peak_mib": peaks}
    figures["start_up"] = other("bench.start_up", "--repeat", str(given.rounds), "--json")
    figures["scaling"] = other("bench.scaling", "--rows", str(given.rows), "--rounds", "1")
    if given.limiter:
        figures["limiter"] = other("bench.limiter", "--seconds", str(given.limiter), "--json")
    print(table(figures))
    print(json.dumps(figures))
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
