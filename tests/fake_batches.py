"""A provider of batches that is not there: what it has, what it answers, and what goes wrong, as a test sets it."""

import json
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import select

from schemas.batch import ProviderBatch
from schemas.ledger import AttemptRow, BatchRow, BudgetRow, JobRow, ResponseRow
from services.batch_body import BatchBody
from services.result_lines import result_line
from tasks.admit import admit
from tasks.read_jobs import read_jobs
from tasks.send_batch import batch_bodies, submit
from tests.fakes import FakeGateway, tokens_of
from tests.nights import Rows, a_run_on_record, text_row, weigh


def body_of(*items):
    """The request of a batch of these items."""
    body = BatchBody()
    for item in items:
        body.add(item["custom_id"], orjson.dumps(item))
    return body


def message(model, usage=None, **more):
    usage = {"input_tokens": 40, "output_tokens": 3} if usage is None else usage
    content = [{"type": "text", "text": "answer"}]
    whole = {"id": "msg", "type": "message", "model": model, "content": content, "stop_reason": "end_turn"}
    return whole | {"usage": usage} | more


class BatchGateway(FakeGateway):
    """Batches end at once. `fail` has what the next calls of a name raise; `lines` what items' results are."""

    def __init__(self):
        super().__init__()
        self.made = {}
        self.canceled = []
        self.readings = 0
        self.fail = {}
        self.lines = {}
        self.while_creating = None

    def counting_in(self, tally):
        self.tally = tally
        return self

    def _maybe_fail(self, call):
        if self.fail.get(call):
            raise self.fail[call].pop(0)

    async def create_batch(self, requests):
        if self.while_creating:
            self.while_creating()
        made = f"msgbatch_{len(self.made)}"
        self.made[made] = {item["custom_id"]: item["params"] for item in requests}
        self._maybe_fail("create")
        return self.seen(made)

    def seen(self, made):
        now, count = datetime.now(UTC), len(self.made[made])
        return ProviderBatch(made, True, count, {"succeeded": count}, now, now + timedelta(days=1))

    async def batch(self, provider_batch_id):
        self._maybe_fail("batch")
        return self.seen(provider_batch_id)

    async def batches_since(self, moment):
        self._maybe_fail("list")
        return [seen for seen in map(self.seen, self.made) if seen.created_at >= moment]

    async def cancel_batch(self, provider_batch_id):
        self._maybe_fail("cancel")
        self.canceled.append(provider_batch_id)

    async def batch_results(self, batch):
        self._maybe_fail("results")
        self.readings += 1
        for number, (custom_id, params) in enumerate(self.made[batch.provider_batch_id].items()):
            usage = {"input_tokens": tokens_of(params), "output_tokens": 3}
            result = {"type": "succeeded", "message": message(params["model"], usage)}
            line = {"custom_id": custom_id, "result": result}
            raw = self.lines[number](line) if number in self.lines else json.dumps(line).encode()
            yield result_line(raw)


async def begun(ledger, gateway, folder, count=3, run_id="run-1", first=0, **changes):
    """A run in batches whose jobs, numbered from `first` on, are weighed."""
    batch = {"poll_seconds": "0.01", "absent_after_seconds": "60"} | changes.pop("batch", {})
    run = await a_run_on_record(ledger, gateway, folder, run_id, mode="batches", batch=batch, **changes)
    rows = [text_row(f"good {n}") | {"job_id": f"job-{n}"} for n in range(first, first + count)]
    await read_jobs(run, Rows(rows), None)
    await weigh(run, 100)
    return run


async def submitted_all(run):
    """Every batch that the queue of a run makes."""
    made = []
    while admission := await admit(run, 100, may_defer=True):
        made += [await submit(run, body) for body in batch_bodies(run, admission.held)]
    return made


def all_rows(ledger, table):
    with ledger.read() as connection:
        return connection.execute(select(table.__table__)).all()


def states(ledger):
    return sorted(row.state for row in all_rows(ledger, AttemptRow))


def outcomes(ledger):
    return [row.outcome for row in sorted(all_rows(ledger, JobRow), key=lambda row: row.row_number)]


def only_batch(ledger):
    [row] = all_rows(ledger, BatchRow)
    return row


def kept(ledger):
    return {row.attempt_id: row.body for row in all_rows(ledger, ResponseRow)}


def assert_budgets_add_up(ledger):
    attempts = all_rows(ledger, AttemptRow)
    for window in all_rows(ledger, BudgetRow):
        own = [a for a in attempts if window.period in (a.run_id, a.budget_day, a.budget_day[:7], a.deadline)]
        assert window.held_nano_usd == sum(a.held_nano_usd for a in own)
        assert window.settled_nano_usd == sum(a.actual_nano_usd or 0 for a in own)
