"""The place of one round: its folder, its simulator, its ledger, and the commands that run over them."""

import contextlib
import random
import shutil
import signal
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.chaos.conditions import AMPLE, DUE, LITTLE, POLICY, drawn_jobs
from bench.chaos.hosts import Host, Running
from bench.chaos.ledger_faults import lock_sqlite
from simulator.process import RunningSimulator
from tests.yards import Yard

#: how long a run counts as alive after its last beat, seconds
LEASE_SECONDS = 6
#: the longest that a command may take in quiet conditions, and to end after a signal
QUIET_SECONDS = 150
#: how many messages the run may have under way that meets a slower one
FAST_IN_FLIGHT = 20
#: seconds, drawn between the two, after which the answers of a run with a deadline are due
DUE_WITHIN = (5.0, 15.0)
LONG_AGO = "2000-01-01 00:00:00.000000"


@dataclass(frozen=True)
class Drawn:
    """What the seed has drawn for a round.

    Attributes:
        message_seconds: how long an answer takes.
        in_flight: how many messages may be under way at once.
        engine: sqlite or postgresql.
    """

    seed: int
    scenario: str
    mode: str
    engine: str
    message_seconds: float
    in_flight: int


class Arena:
    """One round.

    Args:
        yard: its folder, with the address of its ledger.
        places: this host, and another one or None.
        drawn: what the seed has drawn.
        simulator: the witness.
    """

    def __init__(
        self, yard: Yard, places: tuple[Host, Host | None], drawn: Drawn, simulator: RunningSimulator
    ) -> None:
        self.rng = random.Random(f"{drawn.seed} play")
        self.yard = yard
        self.here, self.elsewhere = places
        self.drawn = drawn
        self.simulator = simulator
        self.kills = 0
        self.wrong: list[str] = []
        self.budget = LITTLE if self.rng.random() < 0.3 else AMPLE
        self.rows = drawn_jobs(self.rng, self.rng.randint(12, 40))
        self.results = yard.folder / "results"
        self._started: list[Running] = []
        yard.jobs(self.rows)
        for name, in_flight in (("policy", drawn.in_flight), ("fast", FAST_IN_FLIGHT)):
            policy = POLICY.format(mode=drawn.mode, budget=self.budget, in_flight=in_flight)
            (yard.folder / f"{name}.toml").write_text(policy)
            if name == "policy":
                (yard.folder / "due.toml").write_text(policy + DUE.format(budget=self.budget))

    @property
    def other(self) -> Host:
        """The other host; this one where there is no other."""
        return self.elsewhere or self.here

    @property
    def ledger_file(self) -> Path:
        """The file of a SQLite ledger."""
        return Path(self.yard.ledger.removeprefix("sqlite:///"))

    def start(self, *arguments: object, host: Host | None = None, key: str = "sk-night") -> Running:
        """Start `weighbridge` with these arguments over the round's ledger."""
        own = {"ANTHROPIC_API_KEY": key, "WEIGHBRIDGE_LEASE_SECONDS": str(LEASE_SECONDS)}
        words = [*arguments, "--ledger", self.yard.ledger]
        started = Running(host or self.here, words, self.yard.folder, self.yard.environment | own)
        self._started.append(started)
        return started

    def run(self, host: Host | None = None, key: str = "sk-night", policy: str = "policy") -> Running:
        """Start a run over the round's jobs.

        The policy "fast" overtakes a run under the usual one; under "due" the answers are due within seconds.
        """
        words = ["run", "jobs.parquet", "--json", "--policy", f"{policy}.toml", "--results", self.results]
        if policy == "due":
            moment = datetime.now(UTC) + timedelta(seconds=self.rng.uniform(*DUE_WITHIN))
            words += ["--deadline", f"{moment:%H:%M:%S}"]
        return self.start(*words, host=host, key=key)

    def collect(self, host: Host | None = None, key: str = "sk-night") -> Running:
        """Start `collect`."""
        return self.start("collect", "--json", host=host, key=key)

    def run_at_work(
        self, host: Host | None = None, policy: str = "policy", seconds: float = QUIET_SECONDS
    ) -> Running:
        """Start a run, and wait until it has asked the API for something, at most this many seconds; see `run`."""
        before = self.requests()
        running = self.run(host, policy=policy)
        deadline = time.monotonic() + seconds
        while running.code is None and self.requests() == before and time.monotonic() < deadline:
            time.sleep(0.05)
        return running

    def requests(self) -> int:
        """How many requests the simulator has received."""
        received: dict[str, int] = self.simulator.stats()["received"]
        return sum(received.values())

    def random_while(self, running: Running, most: float | None = None) -> bool:
        """Let a random part of a run's usual length pass; whether it is still running."""
        length = most or 1.5 + self.drawn.message_seconds * len(self.rows) / self.drawn.in_flight
        if self.drawn.mode == "batches":
            length += 1.5
        return not running.ends_within(self.rng.uniform(0, length))

    def end_by(self, running: Running, number: int) -> None:
        """Send a signal that ends a command; counts if it was still running."""
        if not running.signal(number):
            return
        self.kills += 1
        self.must_end(running, QUIET_SECONDS)

    def kill_once(self, number: int = signal.SIGKILL) -> None:
        """Start the command and send it a signal at a random instant of its work."""
        running = self.run_at_work()
        if self.random_while(running):
            self.end_by(running, number)

    def must_end(self, running: Running, seconds: float = QUIET_SECONDS) -> None:
        """Wait for a command's end; one that does not come is on record as wrong."""
        if not running.ends_within(seconds):
            words = " ".join(map(str, running.arguments[:1]))
            self.wrong.append(f"{words} was still running after {seconds:g} s: {running.last_words}")
            running.kill()

    def expire_leases(self) -> None:
        """Make every lease end long ago, as a step of the database's clock does."""
        query = (
            f"UPDATE runs SET lease_until = '{LONG_AGO}', heartbeat_at = '{LONG_AGO}' WHERE ended_at IS NULL"
        )
        if self.drawn.engine == "postgresql":
            with psycopg.connect(self.yard.ledger.replace("+psycopg", "")) as connection:
                connection.execute(query)
            return
        with contextlib.closing(sqlite3.connect(self.ledger_file, timeout=60)) as connection:
            connection.execute(query)
            connection.commit()

    def lock_ledger(self, seconds: float) -> None:
        """Have another program hold the ledger's write lock for this many seconds."""
        lock_sqlite(self.ledger_file, seconds)

    def spoil_results(self) -> None:
        """Make the results folder disappear; in half of the cases nothing can be put in its place either."""
        shutil.rmtree(self.results, ignore_errors=True)
        if self.rng.random() < 0.5:
            with contextlib.suppress(OSError):
                self.results.write_text("in the way")

    def restore_results(self) -> None:
        """Let the results folder be made again."""
        if self.results.is_file():
            self.results.unlink()

    def close(self) -> None:
        """End whatever the round has left running."""
        for running in self._started:
            running.kill()

    def calm(self) -> dict[str, Any] | None:
        """Let the command finish in quiet conditions; the report of the last run, None when there is none.

        It is run until a run ends well and nothing is left in flight.
        """
        self.restore_results()
        report = None
        for _ in range(8):
            last = self.run(policy="fast")
            self.must_end(last)
            report = last.json or report
            unrest = self._unrest(last)
            if not unrest:
                return report
            if self._unended():
                time.sleep(LEASE_SECONDS + 1)
            self.must_end(self.collect())
        self.wrong.append(f"never came to rest: {unrest}")
        return report

    def _unended(self) -> bool:
        """Whether a run has no end yet; also while there is no ledger."""
        with contextlib.suppress(sqlite3.OperationalError, psycopg.Error):
            return bool(self.yard.one("SELECT count(*) FROM runs WHERE ended_at IS NULL"))
        return True

    def _unrest(self, last: Running) -> str:
        """Why a round is not done yet; nothing when it is."""
        if last.code not in (0, 3, 4) or not last.json:
            return f"a run ended with {last.code}: {last.last_words}"
        deferred = last.json["jobs"].get("deferred", 0)
        if deferred and self.budget == AMPLE:
            return f"{deferred} jobs are deferred though there is money"
        for what, query in (
            ("runs without an end", "SELECT count(*) FROM runs WHERE ended_at IS NULL"),
            ("open attempts", "SELECT count(*) FROM attempts WHERE state = 'open'"),
            ("jobs without an outcome", "SELECT count(*) FROM jobs WHERE outcome IS NULL"),
        ):
            if left := self.yard.one(query):
                return f"{left} {what}"
        return ""
