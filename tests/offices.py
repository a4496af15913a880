"""An office: one ledger and one real simulator, and the runs in batches that share them."""

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal

import anthropic
from sqlalchemy import select

from schemas.ledger import AttemptRow, BatchRow, BudgetRow, JobRow, ResponseRow
from schemas.outcome import AttemptState, Outcome
from services.gateway import open_gateway
from services.ledger import jobs
from simulator import running_simulator
from tasks import find_batch
from tasks.admit import admit
from tasks.read_jobs import read_jobs
from tasks.send_batch import batch_bodies, submit
from tasks.send_queue import SendQueue
from tasks.shards import SHARD_SIZE
from tests.nights import Rows, a_run_on_record, weigh
from tests.processes import SECONDS, until
from tests.strategies import policy, quick_ledger

QUICK = "[batches]\nprocessing_seconds = 0.1\n"


def some_rows(count, **more):
    return [
        {
            "job_id": f"job-{n}",
            "prompt": f"number {n} [[output_tokens={n % 40 + 1}]]",
            "max_tokens": 60,
            **more,
        }
        for n in range(count)
    ]


def fault(endpoint, kind, **more):
    """A fault as TOML."""
    values = {"endpoint": endpoint, "kind": kind, **more}
    return "[[faults]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


class Office:
    """One ledger and one simulator, and the runs that share them."""

    def __init__(self, ledger, simulator, gateway, folder):
        self.ledger, self.simulator, self.gateway, self.folder = ledger, simulator, gateway, folder
        self.sdk = anthropic.Anthropic(api_key="other", base_url=simulator.base_url, max_retries=0)

    async def begin(self, rows, run_id="run-1", **changes):
        """A run on record whose jobs are weighed and routed."""
        batch = {"poll_seconds": Decimal("0.05"), "absent_after_seconds": 1} | changes.pop("batch", {})
        limits = {"tries": 4} | changes.pop("limits", {})
        run = await a_run_on_record(
            self.ledger,
            self.gateway,
            self.folder,
            run_id,
            mode="batches",
            batch=batch,
            limits=limits,
            **changes,
        )
        await read_jobs(run, Rows(rows), None)
        await weigh(run, 1_000)
        return run

    async def night(self, rows, run_id="run-1", **changes):
        run = await self.begin(rows, run_id, **changes)
        await SendQueue(run, SHARD_SIZE).drain()
        return run

    def all(self, query):
        with self.ledger.read() as connection:
            return connection.execute(query).all()

    def outcomes(self, run_id="run-1"):
        return Counter(row.outcome for row in self.jobs(run_id))

    def jobs(self, run_id="run-1"):
        return self.all(select(JobRow.__table__).where(JobRow.run_id == run_id).order_by(JobRow.row_number))

    def queue(self, run):
        return jobs.next_in_queue(self.ledger, run.run_id, 1_000)

    def attempts(self):
        return self.all(select(AttemptRow.__table__))

    def batch_states(self):
        return Counter(row.state for row in self.all(select(BatchRow.state)))

    def made(self):
        """How many batches the provider has taken."""
        return self.simulator.stats()["batches"]

    def ours(self):
        """What was billed for this ledger's attempts."""
        own = {attempt.attempt_id for attempt in self.attempts()}
        return [line for line in self.simulator.billed() if line["custom_id"] in own]

    def assert_books_agree(self, unknown=0):
        """The log, the attempts and the budgets tell the same; nothing is billed twice."""
        billed = self.ours()
        assert set(Counter(line["custom_id"] for line in billed).values()) <= {1}
        assert set(Counter(line["payload_sha256"] for line in billed).values()) <= {1}
        attempts = self.attempts()
        states = Counter(attempt.state for attempt in attempts)
        assert states["open"] == 0
        assert states["unknown"] == unknown
        costs = {line["custom_id"]: line["cost_nano_usd"] for line in billed}
        for attempt in attempts:
            if attempt.state == AttemptState.SUCCEEDED:
                assert attempt.actual_nano_usd == costs[attempt.attempt_id] <= attempt.worst_case_nano_usd
            elif attempt.state == AttemptState.FAILED:
                assert attempt.attempt_id not in costs
            held = attempt.worst_case_nano_usd if attempt.state == AttemptState.UNKNOWN else 0
            assert attempt.held_nano_usd == held
        assert len(self.all(select(ResponseRow.attempt_id))) == states["succeeded"]
        self.assert_books_agree_so_far()
        assert {row.outcome for row in self.all(select(JobRow.outcome))} <= set(Outcome)
        if not unknown:
            assert sum(costs.values()) == sum(a.actual_nano_usd or 0 for a in attempts)

    def assert_books_agree_so_far(self):
        """The same, with jobs left in the queue."""
        for window in self.all(select(BudgetRow.__table__)):
            own = [
                a
                for a in self.attempts()
                if window.period in (a.run_id, a.budget_day, a.budget_day[:7], a.deadline)
            ]
            assert window.held_nano_usd == sum(a.held_nano_usd for a in own)
            assert window.settled_nano_usd == sum(a.actual_nano_usd or 0 for a in own)

    def somebody_elses(self, requests):
        """A batch of somebody else with the same key."""
        params = {
            "model": "claude-haiku-5-5",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "x"}],
        }
        items = [{"custom_id": f"theirs-{n}", "params": params} for n in range(requests)]
        return self.sdk.messages.batches.create(requests=items).id

    def prime(self, model, system):
        """A batch of one item, ended, that writes a system prompt to the prompt cache."""
        params = {
            "model": model,
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "x"}],
            "system": system,
        }
        batches = self.sdk.messages.batches
        batch = batches.create(requests=[{"custom_id": "prime", "params": params}])
        until(lambda: batches.retrieve(batch.id).processing_status == "ended", "the end of the batch")

    async def submit_all(self, run):
        """Every batch that the queue makes, submitted and not watched."""
        made = []
        while admission := await admit(run, SHARD_SIZE, may_defer=True):
            made += [await submit(run, body) for body in batch_bodies(run, admission.held)]
        return made

    def all_ended(self):
        return all(batch.processing_status == "ended" for batch in self.sdk.messages.batches.list())

    def age_doubts(self):
        """Let it be two hours longer that this process knows of each creation that brought no answer."""
        for batch_id, doubt in find_batch._doubts.items():
            find_batch._doubts[batch_id] = replace(doubt, since=doubt.since - 7_200)

    async def until(self, found):
        """Poll until something is so."""
        async with asyncio.timeout(SECONDS):
            while not found():  # noqa: ASYNC110 - the simulator is another process
                await asyncio.sleep(0.01)


@asynccontextmanager
async def office(tmp_path, plan=QUICK):
    (tmp_path / "plan.toml").write_text(plan)
    with running_simulator(plan=tmp_path / "plan.toml") as simulator:
        ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
        try:
            async with open_gateway(policy(limits={"tries": 4}).limits, simulator.base_url) as gateway:
                yield Office(ledger, simulator, gateway, tmp_path)
        finally:
            ledger.close()
