"""The steps together, without Prefect and with a gateway of our own: promises 2 (nothing lost), 3 (nothing paid
twice), 4 (what was counted is what was sent) and 5 (unknown spends nothing)."""

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from schemas.failures import AccessDenied, MayBeBilled, Refused, SpendLimitReached, Transient
from schemas.ledger import AttemptRow, CountRow, JobRow, ReviewRow
from schemas.model_facts import ModelFacts
from schemas.outcome import Outcome, RunOutcome
from schemas.payload.payload import UNCOUNTED_PARAMETERS, Payload
from schemas.report import CallFigures
from schemas.usage import Answer
from services.gateway import Reply
from services.job_file import JobFile
from services.ledger import jobs
from tasks.admit import admit_next
from tasks.count_tokens import count_shard
from tasks.learn import learn_from_bills
from tasks.park_for_review import park
from tasks.publish import publish_results
from tasks.read_jobs import read_rows
from tasks.report_run import reconcile_run
from tasks.route import route_shard
from tasks.send import send_all
from tasks.start_run import Run, _check_models
from tests.strategies import begin, policy, quick_ledger

MODELS = {
    name: ModelFacts(name, lifecycle, None, 200_000, 64_000)
    for name, lifecycle in {
        "claude-haiku-5-5": "active",
        "claude-sonnet-5-5": "active",
        "claude-opus-5-5": "active",
        "claude-opus-4-1-20250805": "retired",
        "claude-of-no-price": "active",
    }.items()
}
FAILURES = {
    "passing": lambda: Transient("HTTP 529 overloaded_error"),
    "refused": lambda: Refused("HTTP 400 invalid_request_error", status=400, explanation="no"),
    "forbidden": lambda: Refused("HTTP 403 permission_error", status=403, explanation="no"),
    "maybe": lambda: MayBeBilled("HTTP 504 timeout_error"),
    "spend": lambda: SpendLimitReached("HTTP 429 rate_limit_error"),
    "denied": lambda: AccessDenied("HTTP 401 authentication_error"),
}


class FakeGateway:
    """Answers from what it is asked alone, and fails where a payload's text says so: "count:passing" and so on."""

    endpoint = "http://fake"
    simulated = True

    def __init__(self):
        self.tally = CallFigures()
        self.counted: list[dict] = []
        self.sent: list[dict] = []
        self.answered: list[str] = []

    async def models(self):
        return MODELS

    async def model(self, name):
        return MODELS.get(name)

    def _fail(self, call, body):
        text = orjson.dumps(body["messages"]).decode()
        for name, failure in FAILURES.items():
            if f"{call}:{name}" in text:
                raise failure()

    async def count(self, body):
        await asyncio.sleep(0)
        self.counted.append(body)
        self.tally.count += 1
        self._fail("count", body)
        return tokens_of(body)

    def usage(self, body):
        return {"input_tokens": tokens_of(body), "output_tokens": min(3, body["max_tokens"])}

    async def send(self, body, *, leaving):
        await asyncio.sleep(0)
        await leaving()
        self.sent.append(body)
        self.tally.message += 1
        self._fail("send", body)
        text = orjson.dumps(
            {
                "id": "msg",
                "type": "message",
                "model": body["model"],
                "content": [{"type": "text", "text": "answer"}],
                "stop_reason": "end_turn",
                "usage": self.usage(body),
            }
        )
        self.answered.append(identity(body))
        return Reply(Answer.model_validate_json(text), text.decode(), "req", 1)


def tokens_of(body):
    return len(orjson.dumps([body["messages"], body.get("tools")]))


def identity(body):
    return orjson.dumps({k: v for k, v in body.items() if k != "model"}, option=orjson.OPT_SORT_KEYS).decode()


class Rows:
    """A job file whose rows are given."""

    path = "rows"

    def __init__(self, rows, size):
        self._rows, self._size = rows, size

    def batches(self, limit=None):
        rows = self._rows[:limit]
        for start in range(0, len(rows), self._size):
            yield rows[start : start + self._size]


async def night(ledger, folder, number, rows, sizes=(3, 4, 5), gateway=None, **changes):
    """One run over rows, or over a job file; its gateway and its report."""
    gateway = gateway or FakeGateway()
    run = Run(f"run-{number}", policy(**changes), ledger, gateway, Path(folder))
    await _check_models(run)
    begin(ledger, run.run_id)
    read_rows(run, rows if isinstance(rows, JobFile) else Rows(rows, sizes[0]), None)
    for shard in jobs.shards(ledger, run.run_id, sizes[1]):
        await count_shard(run, shard)
    for shard in jobs.shards(ledger, run.run_id, sizes[1]):
        route_shard(run, shard)
    learn_from_bills(run)
    while (admission := admit_next(run, sizes[2], may_defer=True)) is not None:
        await send_all(run, admission.held)
    park(run)
    publish_results(run)
    return gateway, reconcile_run(run)


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
    "count:forbidden": (lambda n: text_row(f"count:forbidden {n}"), {"failed"}),
    "count:passing": (lambda n: text_row(f"count:passing {n}"), {"failed"}),
    "send:refused": (lambda n: text_row(f"send:refused {n}"), {"failed"}),
    "send:passing": (lambda n: text_row(f"send:passing {n}"), {"failed"}),
    "send:maybe": (lambda n: text_row(f"send:maybe {n}"), {"unknown"}),
}
ids = st.sampled_from(["own", "own", "own", "own", "twin", "none", "blank"])


@st.composite
def inputs(draw):
    """Rows of many kinds, with the kind of each and whether its id is one."""
    rows, kinds = [], []
    for number, kind in enumerate(draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=14))):
        how = draw(ids)
        job_id = {"own": f"job-{number}", "twin": "twin", "none": None, "blank": "  "}[how]
        rows.append({"job_id": job_id} | KINDS[kind][0](number))
        kinds.append((kind, how))
    return rows, kinds


def ended(ledger, run_id):
    with ledger.read() as connection:
        return dict(
            connection.execute(select(JobRow.row_number, JobRow.outcome).where(JobRow.run_id == run_id)).all()
        )


sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))


@settings(max_examples=30)
@given(inputs(), sizes)
def test_every_row_ends_once_and_nothing_is_paid_or_counted_twice(case, batch_sizes):
    rows, kinds = case
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        first, report = asyncio.run(night(ledger, folder, 1, rows, batch_sizes))
        outcomes = ended(ledger, "run-1")

        # nothing is lost: one outcome a row, and they sum to the rows
        assert set(outcomes) == set(range(len(rows)))
        assert Counter(outcomes.values()) == {
            name: count for name in Outcome if (count := getattr(report.jobs, name))
        }
        assert report.jobs.read == len(rows)
        # one bad row never stops the others
        twins: list[str] = []
        for number, (kind, how) in enumerate(kinds):
            if how in ("none", "blank"):
                assert outcomes[number] == "rejected"
            elif how == "twin":
                assert outcomes[number] in KINDS[kind][1] | {"rejected"}
                twins.append(outcomes[number])
            else:
                assert outcomes[number] in KINDS[kind][1], kind
        assert sum(outcome != "rejected" for outcome in twins) <= 1

        # what was counted is what was sent
        for body in first.sent:
            assert {k: v for k, v in body.items() if k not in UNCOUNTED_PARAMETERS} in first.counted
            # unknown spends nothing
            assert MODELS[body["model"]].lifecycle == "active"
            assert body["model"] != "claude-of-no-price"
            assert (
                Payload.checked({k: v for k, v in body.items() if k != "model"}).traits.uncounted.parts == ()
            )
        assert not [
            body for body in first.counted if body["model"] in ("claude-of-no-price", "claude-imaginary-9")
        ]

        # the files say the same as the ledger
        results = sum(pq.read_metadata(p).num_rows for p in Path(folder).glob("run-1/results-*.parquet"))
        assert results == report.jobs.succeeded == outcomes_of(outcomes, "succeeded")
        parked = sum(outcome in ("review", "unknown") for outcome in outcomes.values())
        with ledger.read() as connection:
            assert len(connection.execute(select(ReviewRow.id)).all()) == parked
            states = Counter(connection.scalars(select(AttemptRow.state)))
        assert states["open"] == 0
        assert states["succeeded"] == len(first.answered)

        # the second night: what succeeded, is unknown or is parked costs no call of any kind
        second, again = asyncio.run(night(ledger, folder, 2, rows, batch_sizes))
        assert {n: o for n, o in ended(ledger, "run-2").items() if o != "failed"} == {
            n: o for n, o in outcomes.items() if o != "failed"
        }
        assert second.answered == []
        assert [body for body in second.sent if b"send:" not in orjson.dumps(body)] == []
        assert [body for body in second.sent if b"send:maybe" in orjson.dumps(body)] == []
        assert [body for body in second.counted if b"count:" not in orjson.dumps(body)] == []
        assert (again.usd.actual, again.from_earlier_runs) == (0, again.jobs.succeeded)
        ledger.close()


def outcomes_of(outcomes, name):
    return sum(outcome == name for outcome in outcomes.values())


@settings(max_examples=12)
@given(st.integers(1, 8), st.integers(0, 60), st.integers(0, 60), sizes)
def test_money_that_runs_out_defers_and_the_next_night_goes_on(count, run_cents, day_cents, batch_sizes):
    rows = [{"job_id": f"job-{n}"} | text_row(f"job {n}", max_tokens=500) for n in range(count)]
    budgets = {
        "run": {"budget_usd": f"0.000{run_cents:02d}"},
        "day": {"budget_usd": f"0.000{day_cents:02d}"},
    }
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        first, report = asyncio.run(night(ledger, folder, 1, rows, batch_sizes, **budgets))
        assert report.jobs.succeeded + report.jobs.deferred == count
        assert report.usd.actual <= min(run_cents, day_cents) * 10**-5 + 1e-12
        assert report.outcome == (RunOutcome.BUDGET_STOP if report.jobs.deferred else RunOutcome.COMPLETE)
        second, after = asyncio.run(night(ledger, folder, 2, rows, batch_sizes))
        assert after.jobs.succeeded == count
        assert second.counted == []
        assert len(first.answered) + len(second.answered) == count
        assert set(first.answered).isdisjoint(second.answered)
        ledger.close()


@pytest.mark.parametrize("where", ["count:spend", "count:denied", "send:spend", "send:denied"])
@pytest.mark.parametrize("position", [0, 3, 7])
def test_a_closed_account_stops_the_run_and_every_row_still_has_its_outcome(tmp_path, where, position):
    rows = [{"job_id": f"job-{n}"} | text_row(f"{where if n == position else 'good'} {n}") for n in range(8)]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    first, report = asyncio.run(night(ledger, tmp_path, 1, rows, (3, 2, 2)))
    assert report.jobs.read == 8
    assert report.jobs.succeeded + report.jobs.deferred == 8
    assert report.jobs.deferred >= 1
    assert report.outcome == (RunOutcome.FAILED if "denied" in where else RunOutcome.BUDGET_STOP)
    assert report.usd.held == 0
    opened = [row | {"prompt": row["prompt"].replace(where, "good")} for row in rows]
    second, after = asyncio.run(night(ledger, tmp_path, 2, opened, (3, 2, 2)))
    assert after.jobs.succeeded == 8
    assert len(first.answered) + len(second.answered) == 8
    ledger.close()


def test_an_attempt_of_unknown_outcome_is_sent_again_only_under_a_policy_that_says_so(tmp_path):
    rows = [{"job_id": "a"} | text_row("send:maybe")]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    sent = [
        len(asyncio.run(night(ledger, tmp_path, n, rows, on_unknown=policy_says))[0].sent)
        for n, policy_says in enumerate(["review", "review", "resend"])
    ]
    assert sent == [1, 0, 1]
    ledger.close()


def test_a_bound_is_said_where_a_person_decides_and_used_where_the_policy_says_so(tmp_path):
    rows = [
        {"job_id": "image", "messages": IMAGE, "max_tokens": 50},
        {"job_id": "search"} | text_row("search", tools=SEARCH),
        {"job_id": "tool"} | text_row("tool", tools=TOOL),
    ]
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    asyncio.run(night(ledger, tmp_path, 1, rows))
    with ledger.read() as connection:
        details = dict(connection.execute(select(ReviewRow.job_id, ReviewRow.detail)).all())
        known = connection.execute(select(CountRow.model, CountRow.input_tokens, CountRow.method)).all()
    assert "an image block with a url source; at most 4,8" in details["image"]
    assert "3 calls with 2 web searches" in details["search"]
    assert "at most 600,000 input tokens under claude-haiku-5-5" in details["search"]
    assert "nothing bounds it" in details["tool"]
    assert {method for _, _, method in known} == {"bounded"}

    gateway, report = asyncio.run(night(ledger, tmp_path, 2, rows, uncountable={"on": "bound"}))
    assert [body["messages"] for body in gateway.sent] == [orjson.loads(IMAGE)]
    assert (report.jobs.succeeded, report.jobs.review, gateway.counted) == (1, 2, [])
    with ledger.read() as connection:
        sent = select(JobRow.method, JobRow.input_tokens).where(
            JobRow.job_id == "image", JobRow.run_id == "run-2"
        )
        [(method, tokens)] = connection.execute(sent).all()
    assert method == "bounded"
    assert ("claude-opus-5-5", tokens, "bounded") in [tuple(row) for row in known]
    ledger.close()
