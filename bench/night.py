"""One night, measured: a job file through the real command against the simulator, and what the three books say.

    python bench/night.py JOBS [run options, such as --max-input-tokens 4000]

Runs `weighbridge run` twice over a fresh ledger, compares the simulator's log, the ledger and the report, and prints
one JSON line: figures, seconds, the peak memory of the run in MiB, and whether the books agree.
"""

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from simulator.process import running_simulator

WEIGHBRIDGE = Path(sys.executable).parent / "weighbridge"


def run(arguments: list[str], folder: Path, base_url: str) -> tuple[dict, float]:
    """One run's report, and its wall time in seconds, start-up of Prefect included."""
    env = {
        **os.environ,
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_API_KEY": "simulated",
        "PREFECT_HOME": str(folder / "prefect"),
    }
    env.pop("PREFECT_API_URL", None)
    began = time.monotonic()
    where = ["--ledger", f"sqlite:///{folder}/ledger.db", "--results", str(folder / "results"), "--json"]
    done = subprocess.run(
        [WEIGHBRIDGE, "run", *arguments, *where], env=env, stdout=subprocess.PIPE, check=False
    )
    return json.loads(done.stdout), time.monotonic() - began


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="night-") as name:
        folder = Path(name)
        with running_simulator(log=folder / "billed.jsonl") as simulator:
            first, seconds = run(sys.argv[1:], folder, simulator.base_url)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            before = simulator.stats()["received"]
            again, seconds_again = run(sys.argv[1:], folder, simulator.base_url)
            calls_again = {
                path: count - before[path]
                for path, count in simulator.stats()["received"].items()
                if path in ("messages", "count_tokens")
            }
            billed = simulator.billed()
        with sqlite3.connect(folder / "ledger.db") as ledger:
            paid = ledger.execute(
                "SELECT count(*), sum(actual_input_tokens), sum(actual_output_tokens), sum(actual_nano_usd) "
                "FROM attempts WHERE state = 'succeeded'"
            ).fetchone()
    log = (
        len(billed),
        sum(line["usage"]["input_tokens"] for line in billed),
        sum(line["usage"]["output_tokens"] for line in billed),
        sum(line["cost_nano_usd"] for line in billed),
    )
    report = (
        first["jobs"]["succeeded"],
        first["tokens"]["actual_input"],
        first["tokens"]["actual_output"],
        int(first["usd"]["actual"].replace(".", "")),
    )
    print(
        json.dumps(
            {
                "jobs": first["jobs"],
                "tokens": first["tokens"],
                "usd": first["usd"],
                "calls": first["calls"],
                "books_agree": log == paid == report,
                "seconds": first["seconds"],
                "seconds_with_start_up": round(seconds, 1),
                "peak_mib": peak,
                "again": {
                    "calls": calls_again,
                    "seconds": again["seconds"],
                    "seconds_with_start_up": round(seconds_again, 1),
                    "from_earlier_runs": again["from_earlier_runs"],
                },
            }
        )
    )


if __name__ == "__main__":
    main()
