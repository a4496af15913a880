"""Runs without Prefect, over rows that are given, with a gateway that is given.

Here alone a test's run is built and put on record; its night is the flow's own.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import select

from flows.nightly_batch import weigh_and_send
from rules.models import Models
from schemas.ledger import JobRow
from schemas.row import RowFiles
from schemas.run import RunReference
from services.job_file import JobFile, all_rows
from tasks.check_models import checked_models
from tasks.count_tokens import count_tokens
from tasks.read_approved import read_approved
from tasks.read_jobs import read_jobs
from tasks.run import Run
from tasks.shards import Sizes, in_shards
from tests.fakes import FakeGateway
from tests.strategies import begin, owner_of, policy


class Rows:
    """A job file whose rows are given; `size` of them are read at once, or all."""

    path = "rows"

    def __init__(self, rows, size=None):
        self._rows, self._size = rows, size or max(1, len(rows))

    @property
    def rows(self):
        return len(self._rows)

    def digest(self, limit=None):
        return sha256(repr(self._rows[:limit]).encode()).hexdigest()

    @property
    def row_files(self):
        return RowFiles([self.path], [len(self._rows)])

    def numbered(self, limit=None, wanted=all_rows):
        rows = list(enumerate(self._rows[:limit]))
        for start in range(0, len(rows), self._size):
            piece = rows[start : start + self._size]
            chosen = wanted(range(start, start + len(piece)))
            if found := [(number, row) for number, row in piece if number in chosen]:
                yield found

    def batches(self, limit=None):
        for rows in self.numbered(limit):
            yield [row for _, row in rows]


def a_run(
    ledger=None,
    gateway=None,
    folder="results",
    run_id="run-1",
    *,
    models: Mapping = (),
    lessons: Mapping = (),
    **changes,
) -> Run:
    """A run that is not on record, under a policy with these changes.

    Args:
        ledger: None where the test needs none.
        gateway: None for a fake one.
        folder: where its results' folder is.
        run_id: its id.
        models: what it knows of the models that it may call, without asking the gateway.
        lessons: what its estimates go by.
        changes: sections of the policy.
    """
    rules = policy(**changes)
    facts = Models(rules, dict(models).values())
    for name, stated in dict(models).items():
        facts.why_not(name, stated, datetime.now(UTC))
    run = Run.of(_reference(run_id, rules, folder), ledger, gateway or FakeGateway(), facts)
    if lessons:
        run = replace(run, scale=replace(run.scale, lesson_of=dict(lessons).__getitem__))
    return run


def _reference(run_id, rules, folder) -> RunReference:
    return RunReference(
        run_id=run_id,
        policy=rules,
        ledger_url="",
        results=str(Path(folder) / run_id),
        started_at=datetime.now(UTC),
        owner=owner_of(run_id),
    )


async def with_models_checked(run: Run) -> Run:
    """The same run, once its policy's models were looked up."""
    models = await checked_models(run.gateway, run.policy)
    return replace(run, scale=replace(run.scale, models=models))


async def a_run_on_record(ledger, gateway=None, folder="results", run_id="run-1", **changes) -> Run:
    """A run that has begun: its models are checked, and the ledger knows it."""
    run = await with_models_checked(a_run(ledger, gateway, folder, run_id, **changes))
    begin(ledger, run_id, results=run.results, rules=run.policy)
    return run


async def weigh(run: Run, size: int) -> None:
    """Count and route what the run has read, in shards of this size."""
    await in_shards(count_tokens, run, size)


async def night(ledger, folder, number, rows, sizes=(3, 4, 5), gateway=None, *, resubmit=False, **changes):
    """One run; its gateway and its report.

    Args:
        ledger: where it is put on record, as `run-<number>`.
        folder: where its results go.
        number: of the run.
        rows: its rows, or a job file, or None for a run that has none.
        sizes: how many rows are read, weighed and admitted at once.
        gateway: None for a fake one.
        resubmit: also send what was approved.
        changes: sections of the policy.
    """
    gateway = gateway or FakeGateway()
    run = await a_run_on_record(ledger, gateway, folder, f"run-{number}", **changes)
    if rows is not None:
        file = rows if isinstance(rows, JobFile) else Rows(rows, sizes[0])
        await read_jobs(run, file, None, resubmit_approved=resubmit)
    if resubmit:
        await read_approved(run)
    return gateway, await weigh_and_send(run, Sizes(count=sizes[1], admit=sizes[2]))


def ended(ledger, run_id):
    with ledger.read() as connection:
        return dict(
            connection.execute(select(JobRow.row_number, JobRow.outcome).where(JobRow.run_id == run_id)).all()
        )


def text_row(text, **more):
    return {"prompt": text, "max_tokens": 50, **more}


TOOL = '[{"type": "web_search_20250305", "name": "web_search"}]'
SEARCH = '[{"type": "web_search_20250305", "name": "web_search", "max_uses": 2}]'
XHIGH = '{"output_config": {"effort": "xhigh"}}'
IMAGE = '[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x.test"}}]}]'
#: a row of each kind, and the outcomes it may end as
KINDS = {
    "good": (lambda n: text_row(f"good {n}"), {"succeeded"}),
    "same": (lambda n: text_row("the same for all"), {"succeeded"}),
    "middle": (lambda n: text_row(f"{n} " + "m" * 300), {"succeeded"}),
    "pinned": (lambda n: text_row(f"pinned {n}", model="claude-opus-5-5"), {"succeeded"}),
    "heavy": (lambda n: text_row(f"{n} " + "h" * 20_000), {"review"}),
    "own limit": (lambda n: text_row(f"own {n}", max_input_tokens=1), {"review"}),
    "own cost": (lambda n: text_row(f"cost {n}", max_cost_usd=0.0), {"review"}),
    "server tool": (lambda n: text_row(f"tool {n}", tools=TOOL), {"review"}),
    "url image": (lambda n: {"messages": IMAGE}, {"review"}),
    "search": (lambda n: text_row(f"search {n}", tools=SEARCH), {"review"}),
    "refused everywhere": (
        lambda n: text_row("x", thinking='{"type": "disabled"}', params=XHIGH),
        {"rejected"},
    ),
    "refused by the small": (lambda n: text_row("x", thinking='{"type": "between_tools"}'), {"succeeded"}),
    "retired": (lambda n: text_row("x", model="claude-opus-4-1-20250805"), {"rejected"}),
    "unknown model": (lambda n: text_row("x", model="claude-imaginary-9"), {"rejected"}),
    "unpriced": (lambda n: text_row("x", model="claude-of-no-price"), {"rejected"}),
    "bytes": (lambda n: {"prompt": b"\xff\xfe"}, {"rejected"}),
    "empty": (lambda n: {"prompt": None}, {"rejected"}),
    "bad json": (lambda n: {"messages": "[{"}, {"rejected"}),
    "too long an answer": (lambda n: text_row("x") | {"max_tokens": 64_001}, {"rejected"}),
    "count:refused": (lambda n: text_row(f"count:refused {n}"), {"rejected"}),
    "count:passing": (lambda n: text_row(f"count:passing {n}"), {"failed"}),
    "send:refused": (lambda n: text_row(f"send:refused {n}"), {"rejected"}),
    "send:passing": (lambda n: text_row(f"send:passing {n}"), {"failed"}),
    "send:maybe": (lambda n: text_row(f"send:maybe {n}"), {"unknown"}),
}
