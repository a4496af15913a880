"""Pruning in a run: what was counted is what is sent, within every budget, in few counts, and paid for once.

The gateway counts as the simulator does, and refuses to count what the simulator's own checks refuse.
"""

import asyncio
import tempfile
from decimal import Decimal

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from rules.prune_conversation import most_counts
from schemas.ledger import AttemptRow, JobRow, PayloadRow
from schemas.money import to_nano
from schemas.payload.edit import turn_starts
from schemas.payload.payload import Payload
from schemas.saving_tables import FittedJobRow
from services.ledger.verify import verify
from simulator.billing.counting import count_tokens
from simulator.checks.whole_request import check_body
from tasks.read_jobs import read_jobs
from tests.conversations import conversations
from tests.fakes import FakeGateway
from tests.nights import Rows, a_run_on_record, ended, night, weigh
from tests.strategies import examples, quick_ledger


class ScalesGateway(FakeGateway):
    """Counts and bills by the simulator's rule, and takes only what the simulator takes."""

    def __init__(self):
        super().__init__()
        self.models_counted = []

    async def count(self, body, *, leaving=None):
        weight = count_tokens(body, check_body(body, "count_tokens"))
        await super().count(body)
        self.models_counted.append(body["model"])
        return weight

    def usage(self, body):
        model = check_body(body, "messages")
        return {"input_tokens": count_tokens(body, model), "output_tokens": 3}


def row(talk, job_id="talk", **more):
    return {
        "job_id": job_id,
        "messages": orjson.dumps(talk["messages"]).decode(),
        "tools": orjson.dumps(talk["tools"]).decode(),
        "system": talk.get("system"),
        "max_tokens": talk["max_tokens"],
        **more,
    }


def all_of(ledger, query):
    with ledger.read() as connection:
        return connection.execute(query).all()


PRUNE = {"on_over_budget": "prune", "min_turns": 1}


@pytest.mark.slow
@settings(max_examples=examples(10), deadline=None)
@given(conversations(), st.integers(400, 1_500), st.sampled_from(["0.001", "0.01", "0.5"]))
def test_what_is_sent_is_within_every_budget_and_never_paid_for_again(talk, limit, usd):
    rows = [row(talk)]
    rules = {"prune": PRUNE, "request": {"max_input_tokens": limit, "max_cost_usd": usd}}
    with tempfile.TemporaryDirectory() as folder:
        ledger = quick_ledger(f"sqlite:///{folder}/ledger.db")
        gateway, report = asyncio.run(night(ledger, folder, 1, rows, gateway=ScalesGateway(), **rules))
        fits = all_of(ledger, select(FittedJobRow.__table__))
        [job] = all_of(ledger, select(JobRow.__table__))
        assert job.outcome in ("succeeded", "review")
        own = Payload.checked(talk).fingerprint
        assert job.fingerprint == own
        # the climb counts each route once at most; the rest are the search's
        turns = len(turn_starts(talk["messages"]))
        assert len(gateway.counted) <= 3 + most_counts(turns)
        if job.outcome == "succeeded":
            [sent] = gateway.sent
            [attempt] = all_of(ledger, select(AttemptRow.__table__))
            assert attempt.fingerprint == own
            assert attempt.input_tokens == count_tokens(sent, check_body(sent, "messages")) <= limit
            assert attempt.worst_case_nano_usd <= to_nano(Decimal(usd))
            counted = [body for body in gateway.counted if body["model"] == sent["model"]]
            assert {key: value for key, value in sent.items() if key != "max_tokens"} in counted
        if fits:
            [fit] = fits
            assert fit.fingerprint != own
            assert fit.turns < fit.turns_before == turns
            assert [one.jobs for one in report.fitted] == [1]
        assert verify(ledger).ok

        again, second = asyncio.run(night(ledger, folder, 2, rows, gateway=ScalesGateway(), **rules))
        assert again.sent == []
        assert ended(ledger, "run-2") == ended(ledger, "run-1")
        assert second.from_earlier_runs == report.jobs.succeeded


def long_talk(turns=8):
    said = [
        {"role": role, "content": "word " * 100} for _ in range(turns - 1) for role in ("user", "assistant")
    ]
    return {"messages": [*said, {"role": "user", "content": "and?"}], "tools": [], "max_tokens": 50}


def plain_row(**more):
    return {
        "job_id": "talk",
        "messages": orjson.dumps(long_talk()["messages"]).decode(),
        "max_tokens": 50,
        **more,
    }


def test_the_original_is_kept_until_its_job_has_ended(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")

    async def weighed():
        rules = {"prune": PRUNE, "request": {"max_input_tokens": 800}}
        run = await a_run_on_record(ledger, ScalesGateway(), tmp_path, **rules)
        await read_jobs(run, Rows([plain_row()]), None)
        await weigh(run, 1)
        await weigh(run, 1)  # a step that an engine runs twice finds the same

    asyncio.run(weighed())
    [payload] = all_of(ledger, select(PayloadRow.__table__))
    assert len(orjson.loads(payload.body)["messages"]) == 15
    kept = orjson.loads(payload.pruned_body)["messages"]
    assert kept == orjson.loads(payload.body)["messages"][-len(kept) :]
    assert len(all_of(ledger, select(FittedJobRow.__table__))) == 1


@pytest.mark.parametrize("more", [{"model": "claude-opus-5-5"}, {}], ids=["pinned", "routed"])
def test_a_pinned_job_is_pruned_for_its_own_model_and_never_downgraded(tmp_path, more):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    rows = [plain_row(max_input_tokens=800, **more)]
    gateway, report = asyncio.run(night(ledger, tmp_path, 1, rows, gateway=ScalesGateway(), prune=PRUNE))
    assert report.jobs.succeeded == 1
    assert gateway.sent[0]["model"] == more.get("model", "claude-sonnet-5-5")
    downgrade = {"on_over_budget": "downgrade"}
    dear = [plain_row(max_cost_usd=0.004, **more) | {"job_id": "dear"}]
    routes = {
        "routes": [
            {"name": "small", "model": "claude-haiku-5-5", "up_to_input_tokens": 100},
            {"name": "large", "model": "claude-opus-5-5", "up_to_input_tokens": 10_000},
        ]
    }
    gateway, report = asyncio.run(
        night(ledger, tmp_path, 2, dear, gateway=ScalesGateway(), prune=downgrade, **routes)
    )
    assert [body["model"] for body in gateway.sent] == ([] if more else ["claude-haiku-5-5"])
    assert report.jobs.review == bool(more)
    assert [one.how for one in report.fitted] == ([] if more else ["downgraded"])


def test_a_job_whose_attempt_may_have_been_billed_is_not_sent_in_another_length(tmp_path):
    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    talk = long_talk()["messages"]
    talk[-1]["content"] = "send:maybe"
    rows = [{"job_id": "talk", "messages": orjson.dumps(talk).decode(), "max_tokens": 50}]
    for number, limit in enumerate((800, 1_200), start=1):
        rules = {"prune": PRUNE, "request": {"max_input_tokens": limit}}
        gateway, report = asyncio.run(night(ledger, tmp_path, number, rows, gateway=ScalesGateway(), **rules))
        assert report.jobs.unknown == 1
        assert len(gateway.sent) == (number == 1)


def test_a_count_that_fails_during_the_search_leaves_the_job_to_the_next_run(tmp_path):
    class Failing(ScalesGateway):
        async def count(self, body, *, leaving=None):
            if len(body["messages"]) < 15:
                self._fail("count", {"messages": ["count:passing"]})
            return await super().count(body)

    ledger = quick_ledger(f"sqlite:///{tmp_path}/ledger.db")
    rules = {"prune": PRUNE, "request": {"max_input_tokens": 800}}
    gateway, report = asyncio.run(night(ledger, tmp_path, 1, [plain_row()], gateway=Failing(), **rules))
    assert report.jobs.failed == 1
    assert gateway.sent == []
    gateway, report = asyncio.run(night(ledger, tmp_path, 2, [plain_row()], gateway=ScalesGateway(), **rules))
    assert report.jobs.succeeded == 1
