"""Kill the real command at random instants, resume it, and ask the simulator's log what was paid.

    python bench/chaos.py --kills 200 [--seed 1] [--workers 2]

Works in rounds: a fresh ledger, a simulator with faults on, some dozens of jobs, one mode. `weighbridge run` is
killed (SIGKILL) again and again, then left to finish. Prints one JSON line, and exits with 1 unless all is well:

    kills          how often a running command was killed
    jobs           jobs of all rounds
    lost           jobs without an outcome, or answered without an answer in the ledger
    paid_twice     payloads that the simulator billed more than once
    holds_leaked   attempts that hold money after their end, open attempts, and windows that differ from their sums
    overspend_usd  what the simulator billed beyond a round's day budget
    unknown        attempts cut off in flight, which wait for a person (never sent again)
"""

import argparse
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simulator.process import RunningSimulator, running_simulator

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[1]
JOBS = 48
KILLS_A_ROUND = 10
NANO = 1_000_000_000

PLAN = """
seed = {seed}
[latency]
message_seconds = 0.15
count_seconds = 0.005
jitter = 0.9
[batches]
processing_seconds = 1.0
errored_probability = 0.03
expired_probability = 0.03
[[faults]]
endpoint = "messages"
kind = "status"
status = 529
probability = 0.05
[[faults]]
endpoint = "messages"
kind = "status"
status = 429
retry_after = 1
probability = 0.02
[[faults]]
endpoint = "messages"
kind = "cut_before"
probability = 0.02
[[faults]]
endpoint = "messages"
kind = "cut_after"
probability = 0.02
[[faults]]
endpoint = "batches_create"
kind = "cut_after"
probability = 0.25
[[faults]]
endpoint = "batches_create"
kind = "cut_before"
probability = 0.1
[[faults]]
endpoint = "batches_results"
kind = "cut_results"
probability = 0.3
[[faults]]
endpoint = "batches_retrieve"
kind = "status"
status = 500
probability = 0.1
"""

POLICY = """
name = "chaos"
mode = "{mode}"
[[routes]]
name = "small"
model = "claude-haiku-5-5"
up_to_input_tokens = 400
[[routes]]
name = "large"
model = "claude-sonnet-5-5"
up_to_input_tokens = 200_000
[day]
budget_usd = "{budget}"
[limits]
max_in_flight = 8
[batch]
max_requests = 12
poll_seconds = 0.3
absent_after_seconds = 3
"""


@dataclass
class Tally:
    """What the rounds came to."""

    kills: int = 0
    jobs: int = 0
    lost: int = 0
    paid_twice: int = 0
    holds_leaked: int = 0
    overspend: int = 0
    unknown: int = 0
    deferred: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def write_jobs(path: Path, rng: random.Random) -> None:
    """Some dozens of jobs; one in six is middling heavy."""
    rows = [
        {
            "job_id": f"job-{number}",
            "prompt": f"{rng.random()} weigh this "
            + "again " * (600 if number % 6 == 0 else 20)
            + f"[[output_tokens={rng.randint(5, 200)}]]",
            "max_tokens": 256,
            "priority": number % 3,
        }
        for number in range(JOBS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A Prefect server for all rounds, so that a killed command costs no server start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    }
    command = [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    api = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{api}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield api
    finally:
        server.kill()
        server.wait()


class Round:
    """One round: a folder, a simulator, a mode."""

    def __init__(self, folder: Path, api: str, seed: int, simulator: RunningSimulator) -> None:
        self.rng = random.Random(seed)
        self.folder = folder
        self.simulator = simulator
        self.mode = "batches" if seed % 2 else "messages"
        # every third round has too little money for all jobs
        self.budget = Decimal("0.004") if seed % 3 == 0 else Decimal(5)
        (folder / "policy.toml").write_text(POLICY.format(mode=self.mode, budget=self.budget))
        write_jobs(folder / "jobs.parquet", self.rng)
        self.env = {
            **os.environ,
            "PREFECT_API_URL": api,
            "PREFECT_HOME": str(folder / "prefect"),
            "ANTHROPIC_BASE_URL": simulator.base_url,
            "ANTHROPIC_API_KEY": "simulated",
            "PYTHONPATH": str(ROOT),
        }

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "cli.main", "run", str(self.folder / "jobs.parquet"), "--json"]
        command += [
            "--policy",
            str(self.folder / "policy.toml"),
            "--ledger",
            f"sqlite:///{self.folder}/ledger.db",
        ]
        command += ["--results", str(self.folder / "results")]
        with (self.folder / "stderr").open("ab") as errors:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def kill_once(self) -> bool:
        """Start the command and kill it at a random instant of its work; whether it was still running."""
        before = self.simulator.stats()["received"].get("models", 0)
        child = self.start()
        while child.poll() is None and self.simulator.stats()["received"].get("models", 0) == before:
            time.sleep(0.05)
        try:
            child.wait(self.rng.uniform(0, 3.5 if self.mode == "batches" else 2.5))
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return True
        return False

    def finish(self) -> None:
        """Let the command run until two runs in a row leave nothing in flight."""
        for _ in range(2):
            child = self.start()
            child.communicate(timeout=300)

    def judged(self, kills: int) -> Tally:
        """What the simulator's log and the ledger say at the end."""
        billed = self.simulator.billed()
        payloads = Counter(line["payload_sha256"] for line in billed)
        with sqlite3.connect(self.folder / "ledger.db") as ledger:

            def one(query: str) -> int:
                return ledger.execute(query).fetchone()[0] or 0

            last = "(SELECT run_id FROM runs ORDER BY started_at DESC LIMIT 1)"
            tally = Tally(
                kills=kills,
                jobs=JOBS,
                lost=JOBS
                - one(f"SELECT count(*) FROM jobs WHERE run_id = {last} AND outcome IS NOT NULL")
                + one(
                    "SELECT count(*) FROM attempts a LEFT JOIN responses r USING (attempt_id) "
                    "WHERE a.state = 'succeeded' AND r.body IS NULL"
                )
                + one("SELECT count(*) FROM jobs WHERE outcome IS NULL"),
                paid_twice=sum(count - 1 for count in payloads.values()),
                holds_leaked=one("SELECT count(*) FROM attempts WHERE state = 'open'")
                + one("SELECT count(*) FROM attempts WHERE held_nano_usd > 0 AND state <> 'unknown'")
                + one(
                    "SELECT count(*) FROM budgets WHERE scope = 'day' AND held_nano_usd <> "
                    "(SELECT coalesce(sum(held_nano_usd), 0) FROM attempts)"
                ),
                overspend=max(0, sum(line["cost_nano_usd"] for line in billed) - int(self.budget * NANO)),
                unknown=one("SELECT count(*) FROM attempts WHERE state = 'unknown'"),
                deferred=one(f"SELECT count(*) FROM jobs WHERE run_id = {last} AND outcome = 'deferred'"),
            )
            settled = one("SELECT count(*) FROM attempts WHERE state = 'succeeded'")
        if not settled <= len(billed) <= settled + tally.unknown:
            tally.wrong.append(f"{len(billed)} billed, {settled} settled, {tally.unknown} unknown")
        if tally.lost or tally.paid_twice or tally.holds_leaked or tally.overspend or tally.wrong:
            tally.wrong.append(f"round {self.folder.name} ({self.mode}, budget {self.budget})")
        return tally


def play(folder: Path, api: str, seed: int, kills: int) -> Tally:
    """One round."""
    folder.mkdir()
    (folder / "plan.toml").write_text(PLAN.format(seed=seed))
    with running_simulator(log=folder / "billed.jsonl", plan=folder / "plan.toml") as simulator:
        game = Round(folder, api, seed, simulator)
        done = 0
        for _ in range(kills * 3):
            done += game.kill_once()
            if done == kills:
                break
        game.finish()
        return game.judged(done)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="keep the rounds' folders here")
    arguments = parser.parse_args()
    total = Tally()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        with prefect_server(folder) as api, ThreadPoolExecutor(arguments.workers) as pool:
            seeds = iter(range(arguments.seed, arguments.seed + 10_000))
            while total.kills < arguments.kills:
                a_round = min(KILLS_A_ROUND, -(-(arguments.kills - total.kills) // arguments.workers))
                rounds = [
                    pool.submit(play, folder / f"round-{seed}", api, seed, a_round)
                    for seed in (next(seeds) for _ in range(arguments.workers))
                ]
                for played in rounds:
                    total.add(played.result())
    figures = vars(total) | {"overspend_usd": f"{Decimal(total.overspend) / NANO:f}"}
    figures.pop("overspend")
    print(json.dumps(figures | {"seconds": round(time.monotonic() - began)}))
    sys.exit(
        1 if total.lost or total.paid_twice or total.holds_leaked or total.overspend or total.wrong else 0
    )


if __name__ == "__main__":
    main()
