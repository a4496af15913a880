"""Sending: an attempt is priced, and leaves, by the moment at which its turn comes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rules.models import Models
from rules.prices import BilledTokens, Unpriced
from schemas.failures import MayBeBilled, Refused, Transient
from schemas.ledger import AttemptRow, JobRow
from schemas.money import usd_text
from tasks.admit import admit
from tasks.read_jobs import read_jobs
from tasks.run import MOST_IN_A_ROW
from tasks.send import send
from tasks.send_batch import send_batch
from tests.fake_batches import BatchGateway, all_rows, assert_budgets_add_up, begun, outcomes
from tests.fakes import FakeGateway
from tests.nights import Rows, a_run_on_record, night, text_row, weigh
from tests.strategies import policy

pytestmark = pytest.mark.one_database

MODEL = "claude-haiku-5-5"
#: a moment before a midnight
NOW = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)


class Slow(FakeGateway):
    """A turn comes on the next day."""

    moment = NOW

    async def send(self, body, *, leaving, weight=None, came_back=None):
        self.moment = NOW + timedelta(days=1)
        return await super().send(body, leaving=leaving, weight=weight)


async def sent(ledger, folder, gateway, **changes):
    run = await a_run_on_record(ledger, gateway, folder, **changes)
    run = replace(run, scale=replace(run.scale, clock=lambda: gateway.moment))
    await read_jobs(run, Rows([{"job_id": "a"} | text_row("hello")]), None)
    await weigh(run, 9)
    await send(run, await admit(run, 9, may_defer=True))
    [attempt] = all_rows(ledger, AttemptRow)
    return attempt


async def test_a_bill_is_priced_by_the_day_on_which_the_request_left(ledger, tmp_path):
    tomorrow = (NOW + timedelta(days=1)).date()
    prices = [{"model": MODEL, "discount_percent": "50", "from": tomorrow}]
    gateway = Slow()
    attempt = await sent(ledger, tmp_path, gateway, prices=prices)
    usage = (attempt.actual_input_tokens, attempt.actual_output_tokens)
    card = Models(policy()).price_card(MODEL, NOW)
    full = card.price(BilledTokens(*usage))
    assert attempt.actual_nano_usd * 2 == full


async def test_what_has_no_price_when_its_turn_comes_does_not_leave(ledger, tmp_path, monkeypatch):
    gateway = Slow()
    price_card = Models.price_card

    def but_for_the_day_after(self, model, on):
        if on.date() == (NOW + timedelta(days=1)).date():
            raise Unpriced(f"{model} has no price on {on:%Y-%m-%d}")
        return price_card(self, model, on)

    monkeypatch.setattr(Models, "price_card", but_for_the_day_after)
    attempt = await sent(ledger, tmp_path, gateway)
    assert gateway.sent == []
    assert (attempt.state, attempt.held_nano_usd) == ("failed", 0)
    assert outcomes(ledger) == ["deferred"]


async def test_a_batch_held_before_midnight_leaves_on_the_money_of_the_day_it_leaves_on(ledger, tmp_path):
    gateway = BatchGateway()
    run = await begun(ledger, gateway, tmp_path)
    run = replace(run, scale=replace(run.scale, clock=lambda: NOW))
    [held] = [await admit(run, 100, may_defer=True)]
    [cost, *_] = [row.held_nano_usd for row in all_rows(ledger, AttemptRow)]
    # the next day has room for two of the three
    day = {"budget_usd": usd_text(cost * 2 + cost // 2)}
    rules = run.policy.model_copy(update={"day": run.policy.day.model_validate(day)})
    tomorrow = NOW + timedelta(days=1)
    run = replace(run, scale=replace(run.scale, policy=rules, clock=lambda: tomorrow))
    assert await send_batch(run, held) == 1
    [items] = gateway.made.values()
    assert len(items) == 2
    ended = {row.attempt_id: (row.state, row.budget_day) for row in all_rows(ledger, AttemptRow)}
    assert {ended[name] for name in items} == {("succeeded", f"{tomorrow:%Y-%m-%d}")}
    assert sorted(outcomes(ledger)) == ["deferred", "succeeded", "succeeded"]
    assert "day_budget" in {row.reason for row in all_rows(ledger, JobRow)}
    assert_budgets_add_up(ledger)


class Unanswered(FakeGateway):
    """One call at a time, and `ends` says what becomes of the one of this number."""

    def __init__(self, ends):
        super().__init__()
        self._ends, self._slot = ends, asyncio.Semaphore(1)

    async def send(self, body, *, leaving, weight=None, came_back=None):
        async with self._slot:
            reply = await super().send(body, leaving=leaving, weight=weight)
            if failure := self._ends(len(self.sent)):
                raise failure
            return reply


@pytest.mark.parametrize(
    ("failure", "outcome"), [(MayBeBilled("HTTP 502"), "unknown"), (Transient("HTTP 529"), "failed")]
)
def test_calls_that_fail_in_a_row_stop_the_run_and_the_rest_waits_for_the_next(
    ledger, tmp_path, failure, outcome
):
    rows = [{"job_id": f"job-{n}"} | text_row(f"job {n}") for n in range(2 * MOST_IN_A_ROW)]
    gateway, report = asyncio.run(
        night(ledger, tmp_path, 1, rows, (99, 99, 99), Unanswered(lambda number: failure))
    )
    assert len(gateway.sent) == MOST_IN_A_ROW
    assert getattr(report.jobs, outcome) == report.jobs.deferred == MOST_IN_A_ROW
    assert "endpoint_unusable" in {item.reason for item in report.reasons}


def test_an_answer_or_a_refusal_among_them_lets_the_run_go_on(ledger, tmp_path):
    def ends(number):
        answers = {0: None, 10: Refused("HTTP 400", explanation="no")}
        return answers.get(number % MOST_IN_A_ROW, Transient("HTTP 529"))

    rows = [{"job_id": f"job-{n}"} | text_row(f"job {n}") for n in range(3 * MOST_IN_A_ROW)]
    gateway, report = asyncio.run(night(ledger, tmp_path, 1, rows, (99, 99, 99), Unanswered(ends)))
    assert len(gateway.sent) == len(rows)
    assert report.jobs.deferred == 0
