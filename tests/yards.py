"""A yard: a folder of its own in which the real processes run.

The simulator is the witness: its billing log says what was paid, its statistics say what was called.
"""

import contextlib
import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq

from services.ledger import open_to_read
from services.ledger.verify import verify
from simulator.billing.catalogue import find_model
from simulator.process import RunningSimulator, running_simulator
from tests.commands import Command
from tests.processes import ONE_CERTIFICATE, clean_environment
from tests.strategies import compiled_once

NANO = 10**9

POLICY = """
name = "end-to-end"
on_unknown = "{on_unknown}"
max_task_runs = {max_task_runs}
[[routes]]
name = "small"
model = "{small}"
up_to_input_tokens = 1_500
[[routes]]
name = "middle"
model = "claude-sonnet-5-5"
up_to_input_tokens = 8_000
[[routes]]
name = "large"
model = "claude-opus-5-5"
up_to_input_tokens = 200_000
[run]
budget_usd = "10"
[day]
budget_usd = "{day_usd}"
[limits]
messages_per_minute = 30_000
count_per_minute = 30_000
max_in_flight = {max_in_flight}
request_timeout_seconds = {timeout}
"""


def nano(usd):
    """Whole nano-USD of decimal USD."""
    exact = Decimal(str(usd)) * NANO
    assert exact == int(exact)
    return int(exact)


@dataclass
class Yard:
    """A folder of one test, and what happens in it."""

    folder: Path
    api: str | None
    environment: dict[str, str] = field(default_factory=dict)
    ledger: str = ""
    warm: Path | None = None
    witness: object = None

    def jobs(self, rows, name="jobs.parquet", schema=None):
        """A Parquet file of these rows."""
        if isinstance(rows, pa.Table):
            table = rows
        else:
            names = dict.fromkeys(name for row in rows for name in row)  # pyarrow looks at the first row only
            table = pa.Table.from_pylist([dict.fromkeys(names) | row for row in rows], schema=schema)
        pq.write_table(table, self.folder / name)
        return name

    def policy(self, name="policy.toml", **values):
        """A policy file like the default one, with these values."""
        defaults = {
            "on_unknown": "review",
            "small": "claude-haiku-5-5",
            "day_usd": "100",
            "max_in_flight": 50,
            "timeout": 60,
            # each task run costs some 20 ms, and few tests look at them
            "max_task_runs": 12,
        }
        (self.folder / name).write_text(POLICY.format(**defaults | values))
        return name

    @contextlib.contextmanager
    def simulator(self, plan="seed = 1\n"):
        """A simulator with this plan (TOML text), which every run of the yard talks to from now on."""
        file = self.folder / f"plan-{hashlib.sha256(plan.encode()).hexdigest()[:8]}.toml"
        file.write_text(plan)
        with self._simulator_process(self.folder / "billed.jsonl", file) as running:
            self.witness = running
            self.environment["ANTHROPIC_BASE_URL"] = running.base_url
            yield running

    @contextlib.contextmanager
    def _simulator_process(self, log, plan):
        if self.warm is None:
            with running_simulator(log=log, plan=plan) as running:
                yield running
            return
        with self.start("simulate", "--port", 0, "--log", log, "--plan", plan) as command:
            ready = json.loads(command.first_line())
            yield RunningSimulator(ready["base_url"], Path(ready["log"]), command.process.pid)

    def start(self, *arguments, **environment):
        """Start `weighbridge` with these arguments: a process of its own, which the warm server forks if there is one."""
        return Command(arguments, self.folder, self.environment | environment, self.warm)

    def start_from_file(self, *arguments, **environment):
        """Start `weighbridge` as a person does."""
        return Command(arguments, self.folder, self.environment | environment)

    def weighbridge(self, *arguments, **environment):
        """Run `weighbridge` with these arguments to its end."""
        return self.start(*arguments, **environment).finish()

    def run(self, jobs, *options, code=0, **environment):
        """The report of `weighbridge run --json`, which must end with this exit code."""
        ended = self.weighbridge("run", jobs, "--json", *self._ledger_option(), *options, **environment)
        assert ended.code == code, ended.told()
        return ended.json

    def _ledger_option(self):
        return ("--ledger", self.ledger) if self.ledger.startswith("postgresql") else ()

    def rows(self, query, *values):
        """Rows of the ledger as dictionaries, read with a plain SQL client. Placeholders are question marks."""
        if self.ledger.startswith("postgresql"):
            with psycopg.connect(self.ledger.replace("+psycopg", "")) as connection:
                cursor = connection.execute(query.replace("?", "%s"), values)
                names = [column.name for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor]
        path = self.ledger.removeprefix("sqlite:///")
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(query, values)]

    def one(self, query, *values):
        """The only value of the only row."""
        [row] = self.rows(query, *values)
        [value] = row.values()
        return value

    def jobs_of(self, report):
        """The rows of a run on record, by job id."""
        rows = self.rows("SELECT * FROM jobs WHERE run_id = ? ORDER BY row_number", report["run_id"])
        return {row["job_id"]: row for row in rows}

    def called(self):
        """Requests the simulator has received so far: (count_tokens, messages)."""
        received = self.witness.stats()["received"]
        return received["count_tokens"], received["messages"]

    def in_flight(self):
        """Attempts that have been sent and have not ended, by the ledger."""
        return self.one("SELECT count(*) FROM attempts WHERE sent_at IS NOT NULL AND ended_at IS NULL")

    def results(self, report):
        """The rows of a run's result files."""
        return _parquet(report, "results")

    def assert_accounted(self, report, rows):
        """Every input row has exactly one outcome, in the report and in the ledger."""
        figures = report["jobs"]
        assert figures["read"] == rows
        assert sum(figures.values()) == 2 * rows
        on_record = self.rows(
            "SELECT outcome, count(*) AS n FROM jobs WHERE run_id = ? GROUP BY outcome", report["run_id"]
        )
        named = {name: n for name, n in figures.items() if n and name != "read"}
        assert {row["outcome"]: row["n"] for row in on_record} == named

    def assert_budgets_add_up(self):
        """Each window's sums are the sums of its attempts, and lie under its cap."""
        attempts = self.rows("SELECT * FROM attempts")
        for window in self.rows("SELECT * FROM budgets"):
            own = [
                a
                for a in attempts
                if window["period"] in (a["run_id"], a["budget_day"], a["budget_day"][:7], a["deadline"])
                and window["group_name"] in ("", a["group_name"])
            ]
            assert window["held_nano_usd"] == sum(a["held_nano_usd"] for a in own)
            assert window["settled_nano_usd"] == sum(a["actual_nano_usd"] or 0 for a in own)
            cap = window["cap_nano_usd"]
            assert cap is None or window["held_nano_usd"] + window["settled_nano_usd"] <= cap

    def assert_ledger_is_true(self):
        """Every check of `weighbridge verify` holds."""
        ledger = compiled_once(open_to_read(self.ledger))
        try:
            found = verify(ledger)
        finally:
            ledger.close()
        assert found.ok, [check for check in found.checks if not check.ok]

    def assert_agreement(self, report, billed):
        """Log, ledger, report and files of a run tell the same, to the token and the nano-dollar.

        Args:
            report: what `run --json` printed.
            billed: the lines that the simulator billed during this run, all of them answered.
        """
        run_id, tokens, usd = report["run_id"], report["tokens"], report["usd"]
        log = {line.get("custom_id", line["request_id"]): line for line in billed}
        paid = self.rows("SELECT * FROM attempts WHERE run_id = ? AND state = 'succeeded'", run_id)
        assert len(log) == len(billed) == len(paid)
        assert len({line["payload_sha256"] for line in billed}) == len(billed)
        for attempt in paid:
            line = log[attempt["attempt_id"] if attempt["batch_id"] else attempt["request_id"]]
            assert attempt["model"] == line["model"]
            assert attempt["actual_nano_usd"] == line["cost_nano_usd"]
            assert attempt["actual_input_tokens"] == _input(line)
            assert attempt["actual_output_tokens"] == line["usage"]["output_tokens"]
            assert attempt["actual_input_tokens"] <= attempt["input_bound"]
            assert attempt["actual_nano_usd"] <= attempt["worst_case_nano_usd"]
            assert attempt["held_nano_usd"] == 0

        cost = sum(line["cost_nano_usd"] for line in billed)
        sent, answered = sum(map(_input, billed)), sum(line["usage"]["output_tokens"] for line in billed)
        weighed = sum(attempt["input_tokens"] for attempt in paid)
        assert tokens == {"estimated_input": weighed, "actual_input": sent, "actual_output": answered}
        assert nano(usd["actual"]) == cost
        assert nano(usd["estimated"]) == sum(attempt["expected_nano_usd"] for attempt in paid)
        assert nano(usd["worst_case"]) == sum(attempt["worst_case_nano_usd"] for attempt in paid)
        assert nano(usd["all_on_largest"]) == sum(map(_on_largest, billed))
        assert sum(model["jobs"] for model in report["models"]) == len(paid)
        assert sum(nano(model["actual_usd"]) for model in report["models"]) == cost
        self.assert_budgets_add_up()
        assert (
            self.one("SELECT settled_nano_usd FROM budgets WHERE period = ? AND group_name = ''", run_id)
            == cost
        )

        view = self.rows("SELECT * FROM reconciliation WHERE run_id = ?", run_id)
        files = _parquet(report, "reconciliation")
        for rows in (view, files):
            assert len(rows) == len(paid)
            assert sum(row["estimated_input_tokens"] for row in rows) == weighed
            assert sum(row["actual_input_tokens"] for row in rows) == sent
            assert sum(row["actual_output_tokens"] for row in rows) == answered
        assert sum(row["actual_nano_usd"] for row in view) == cost
        assert sum(nano(row["actual_usd"]) for row in files) == cost
        assert sum(nano(row["estimated_usd"]) for row in files) == nano(usd["estimated"])

        results = self.results(report)
        assert len(results) == report["jobs"]["succeeded"]
        own = [row for row in results if row["paid_in_run"] == run_id]
        assert sum(nano(row["cost_usd"]) for row in own) == cost
        assert sum(row["output_tokens"] for row in own) == answered
        assert {json.loads(row["response"])["id"] for row in own} == {line["message_id"] for line in billed}
        written = json.loads((Path(report["places"]["results"]) / "report.json").read_text())
        assert written == report
        self.assert_ledger_is_true()


def _input(line):
    usage = line["usage"]
    return (
        usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage.get("cache_read_input_tokens", 0)
    )


def _on_largest(line):
    """The bill of a line on the largest model: each kind of token at its rate, geo, batch and its own fast mode included."""
    largest, usage = find_model("claude-opus-5-5"), line["usage"]
    prices = largest.prices
    written = usage["cache_creation"]
    tokens = (
        usage["input_tokens"] * prices.input
        + written["ephemeral_5m_input_tokens"] * prices.write_5m
        + written["ephemeral_1h_input_tokens"] * prices.write_1h
        + usage["cache_read_input_tokens"] * prices.read
        + usage["output_tokens"] * prices.output
    )
    percent = 110 if usage["inference_geo"] == "us" else 100
    if usage["speed"] == "fast" and line["model"] == largest.id:
        percent *= largest.fast
    return -(-tokens * percent // (200 if usage["service_tier"] == "batch" else 100))


def _parquet(report, stem):
    folder = Path(report["places"]["results"])
    return [
        row for part in sorted(folder.glob(f"{stem}-*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


def open_yard(folder, api=None, warm=None):
    """A yard in a folder of its own.

    Args:
        folder: where it is.
        api: the Prefect server of its runs; None: Prefect has never run here, and there is no key either.
        warm: the server that forks its commands; None: they are started from their file.
    """
    home = folder / "home"
    home.mkdir()
    if api is None:
        return Yard(folder, None, clean_environment(home), f"sqlite:///{folder}/data/simulated/ledger.db")
    environment = clean_environment(home, PREFECT_API_URL=api, ANTHROPIC_API_KEY="test", **ONE_CERTIFICATE)
    return Yard(folder, api, environment, f"sqlite:///{folder}/data/ledger.db", warm)
