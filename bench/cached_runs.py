"""What caching saves in runs that are really sent: the simulator's bill with `[cache] mode = "auto"` against "off".

    python -m bench.cached_runs [--trace JOBS] [--rows N]

Files: jobs with one system prompt of some 4,000 tokens and 10 tools, jobs with 40 prompts of 2,000 tokens, jobs that share
nothing, and a job file made of a trace if one is given. Each runs in Messages mode, and in batches whose hits are 30, 65
and 98 % of what could hit. Prints one JSON line per file and mode: USD without and with caching by the simulator's log,
their ratio, and the measured share of hits. All figures are simulated.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.savings import text, tools
from simulator.process import running_simulator

WEIGHBRIDGE = Path(sys.executable).parent / "weighbridge"
HITS = (0.30, 0.65, 0.98)
POLICY = """
name = "cached-runs"
mode = "{mode}"
[[routes]]
name = "middle"
model = "claude-sonnet-5-5"
up_to_input_tokens = 200_000
[request]
max_input_tokens = 200_000
max_cost_usd = "10"
[limits]
messages_per_minute = 60_000
count_per_minute = 60_000
[batch]
poll_seconds = "0.5"
[cache]
mode = "{cache}"
"""


def one_prefix(chance: random.Random, rows: int) -> list[dict]:
    """Jobs with one system prompt and 10 tools, and a question of their own."""
    system, schemas = text(chance, 3_000), json.dumps(tools(10))
    return [
        {
            "job_id": f"one-{number}",
            "system": system,
            "tools": schemas,
            "prompt": f"{number} {text(chance, 60)}",
            "max_tokens": 100,
        }
        for number in range(rows)
    ]


def many_prefixes(chance: random.Random, rows: int) -> list[dict]:
    """Jobs with 40 system prompts, and a question of their own."""
    systems = [text(chance, 1_500) for _ in range(40)]
    return [
        {
            "job_id": f"many-{number}",
            "system": systems[number % len(systems)],
            "prompt": f"{number} {text(chance, 60)}",
            "max_tokens": 100,
        }
        for number in range(rows)
    ]


def no_prefix(chance: random.Random, rows: int) -> list[dict]:
    """Jobs that share nothing."""
    return [
        {"job_id": f"own-{number}", "prompt": f"{number} {text(chance, 1_000)}", "max_tokens": 100}
        for number in range(rows)
    ]


def billed(folder: Path, jobs: Path, mode: str, cache: str, hits: float | None) -> tuple[Decimal, dict]:
    """What one run was billed by the simulator's log in USD, and the run's own report."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        place = Path(name)
        (place / "policy.toml").write_text(POLICY.format(mode=mode, cache=cache))
        plan = place / "plan.toml"
        plan.write_text("" if hits is None else f"[cache]\nbatch_hit_rate = {hits}\n")
        with running_simulator(place / "billed.jsonl", plan) as simulator:
            env = {**os.environ, "ANTHROPIC_BASE_URL": simulator.base_url, "ANTHROPIC_API_KEY": "simulated"}
            env["PREFECT_HOME"] = str(folder / "prefect")
            env.pop("PREFECT_API_URL", None)
            where = ["--ledger", f"sqlite:///{place}/ledger.db", "--results", place / "results"]
            command = [WEIGHBRIDGE, "run", jobs, "--policy", place / "policy.toml", "--json", *where]
            done = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=False)
            report = json.loads(done.stdout)
            if report["outcome"] != "complete":
                sys.exit(f"{jobs.name}: {report['outcome']}: {report['error']} {report['reasons']}")
            nano = sum(line["cost_nano_usd"] for line in simulator.billed())
            return Decimal(nano).scaleb(-9), report


def compared(folder: Path, name: str, jobs: Path) -> Iterator[dict]:
    """The lines of one file."""
    for mode, rates in (("messages", (None,)), ("batches", HITS)):
        plain, _ = billed(folder, jobs, mode, "off", None)
        for hits in rates:
            cached, report = billed(folder, jobs, mode, "auto", hits)
            yield {
                "file": name,
                "rows": report["jobs"]["read"],
                "mode": mode,
                "batch_hit_rate": hits,
                "usd_off": f"{plain:f}",
                "usd_auto": f"{cached:f}",
                "ratio": f"{cached / plain:.3f}",
                "hit_share": report["cache"]["hit_share"],
                "saved_usd": report["cache"]["saved_usd"],
            }


def main() -> None:
    """Run the files, and print a line for each mode."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trace", type=Path, help="a job file made of a trace")
    parser.add_argument("--rows", type=int, default=400, help="rows of the files that are made here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cached-runs-") as name:
        folder = Path(name)
        files = {
            "one prefix": one_prefix(random.Random(1), arguments.rows),
            "40 prefixes": many_prefixes(random.Random(2), max(arguments.rows, 1_000)),
            "no prefix": no_prefix(random.Random(3), arguments.rows),
        }
        paths = {what: folder / f"{what.replace(' ', '-')}.parquet" for what in files}
        for what, rows in files.items():
            pq.write_table(pa.Table.from_pylist(rows), paths[what])
        if arguments.trace:
            paths["trace"] = arguments.trace.absolute()
        for what, path in paths.items():
            for line in compared(folder, what, path):
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
