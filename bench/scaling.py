"""What more workers bring: one job file through `weighbridge run`, here, with one worker process, and with more.

    python -m bench.scaling [--rows N] [--workers 1 2] [--rounds R] [--ledger sqlite|postgresql]

Each way gets a fresh ledger and a fresh simulator without latency, so that the client is what is measured, with limits
far above what it reaches. Prints a table on stderr and one JSON line: jobs a second of the run (start-up of Prefect and
of the workers aside, as the ledger's first and last attempt say), CPU seconds of all processes a job, whether every job
was billed once, and each way's ratio to one worker. The ways take turns, and the best round of each
counts. On a machine with few cores the simulator takes a share of them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import create_engine, text

from simulator.process import running_simulator

WEIGHBRIDGE = Path(sys.executable).parent / "weighbridge"
POLICY = """
name = "scaling"
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 20_000
[limits]
messages_per_minute = 600_000
input_tokens_per_minute = 2_000_000_000
output_tokens_per_minute = 2_000_000_000
count_per_minute = 600_000
max_in_flight = 200
"""
_SENT = "SELECT min(sent_at), max(ended_at), count(*) FROM attempts WHERE state = 'succeeded'"
_COUNTED = "SELECT min(counted_at), max(counted_at) FROM counts"


def jobs_file(folder: Path, rows: int) -> Path:
    """A job file of prompts of some 2 KB that share nothing."""
    path = folder / "jobs.parquet"
    prompts = [
        f"{number} " + f"words of job {number} " * 100 + "[[output_tokens=20]]" for number in range(rows)
    ]
    table = pa.table(
        {"job_id": [f"job-{n}" for n in range(rows)], "prompt": prompts, "max_tokens": [100] * rows}
    )
    pq.write_table(table, path)
    return path


def ledger_url(kind: str, folder: Path, stack: ExitStack) -> str:
    """The URL of a fresh ledger."""
    if kind == "sqlite":
        return f"sqlite:///{folder}/ledger.db"
    from tests.processes import postgresql_database, postgresql_server  # noqa: PLC0415 - a part of the tests

    return stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))


def seconds_between(ends: tuple) -> float:
    """Seconds between the first two of a row, which are moments or their text."""
    first, last = (pa.scalar(str(end)[:26]).cast(pa.timestamp("us")).as_py() for end in ends[:2])
    return max((last - first).total_seconds(), 1e-6)


def measured(jobs: Path, options: list[str], kind: str) -> dict:
    """One way through the file."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "policy.toml").write_text(POLICY)
        url = ledger_url(kind, folder, stack)
        simulator = stack.enter_context(running_simulator(log=folder / "billed.jsonl"))
        env = {**os.environ, "ANTHROPIC_BASE_URL": simulator.base_url, "ANTHROPIC_API_KEY": "simulated"}
        env.pop("PREFECT_API_URL", None)
        places = [
            "--policy",
            str(folder / "policy.toml"),
            "--ledger",
            url,
            "--results",
            str(folder / "results"),
        ]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [WEIGHBRIDGE, "run", str(jobs), *places, "--json", *options],
            env=env,
            stdout=subprocess.PIPE,
            check=True,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        billed = [line["payload_sha256"] for line in simulator.billed()]
        engine = create_engine(url)
        with engine.connect() as connection:
            sent = tuple(connection.execute(text(_SENT)).one())
            counted = tuple(connection.execute(text(_COUNTED)).one())
        engine.dispose()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "jobs": sent[2],
        "billed_once": len(billed) == len(set(billed)) == sent[2],
        "count_seconds": round(seconds_between(counted), 2),
        "send_seconds": round(seconds_between(sent), 2),
        "sent_per_second": round(sent[2] / seconds_between(sent), 1),
        "run_seconds": json.loads(done.stdout)["seconds"],
        "cpu_ms_per_job": round(1000 * cpu / sent[2], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--ledger", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    ways = {"local": ["--runner", "local"]} | {
        f"{number} workers": ["--runner", "processes", "--workers", str(number)] for number in asked.workers
    }
    with tempfile.TemporaryDirectory(prefix="scaling-jobs-") as name:
        jobs = jobs_file(Path(name), asked.rows)
        rounds = [
            {way: measured(jobs, options, asked.ledger) for way, options in ways.items()}
            for _ in range(asked.rounds)
        ]
    found = {way: max((one[way] for one in rounds), key=lambda one: one["sent_per_second"]) for way in ways}
    first = found[f"{asked.workers[0]} workers"]["sent_per_second"]
    print(f"{'':12}{'sent/s':>10}{'ratio':>8}{'count s':>9}{'send s':>8}{'CPU ms/job':>12}", file=sys.stderr)
    for way, one in found.items():
        one["ratio"] = round(one["sent_per_second"] / first, 2)
        print(
            f"{way:12}{one['sent_per_second']:>10}{one['ratio']:>8}{one['count_seconds']:>9}{one['send_seconds']:>8}"
            f"{one['cpu_ms_per_job']:>12}",
            file=sys.stderr,
        )
    print(json.dumps({"rows": asked.rows, "ledger": asked.ledger, "ways": found}))


if __name__ == "__main__":
    main()
