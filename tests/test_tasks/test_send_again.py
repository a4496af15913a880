"""Another try at a call that surely was not billed: it leaves only where the first try might, and waits as if unsent."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
import pytest

from schemas.ledger import AttemptRow
from schemas.outcome import Reason
from schemas.policy_sections import RateLimits
from services.gateway import open_gateway
from services.ledger import runs
from services.ledger.journal import Journal
from tasks.admit import admit
from tasks.read_jobs import read_jobs
from tasks.send import send
from tests.fake_batches import all_rows, assert_budgets_add_up, outcomes
from tests.fakes import FakeGateway
from tests.nights import Rows, a_run_on_record, text_row, weigh
from tests.processes import SECONDS
from tests.raw_servers import MESSAGE, raw_server, reply
from tests.strategies import abandon, policy

pytestmark = pytest.mark.one_database

#: a moment before a midnight
NOW = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
LIMITED = orjson.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}})


class ThroughTo(FakeGateway):
    """Sends by a real gateway. The turn of another try comes when the test lets it."""

    def __init__(self, real):
        super().__init__()
        self._real = real
        self.has_left = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    async def send(self, body, *, leaving, **how):
        async def its_turn():
            if self.has_left:
                await asyncio.wait_for(self.may_go_on.wait(), SECONDS)
            await leaving()
            self.has_left = True

        return await self._real.send(body, leaving=its_turn, **how)


class Answering:
    """429 to the first request, after which `meanwhile` happens, and an answer to the next."""

    def __init__(self, wait, meanwhile):
        self.wait, self.meanwhile = wait, meanwhile
        self.refused = asyncio.Event()

    async def __call__(self, server, _head, _body):
        if server.requests > 1:
            return reply(200, MESSAGE)
        await self.meanwhile()
        self.refused.set()
        return reply(429, LIMITED, retry_after=self.wait)


async def a_night(ledger, folder, meanwhile, act=None, wait="0.05", **changes):
    """The requests that came of one job whose first try is refused; `meanwhile` and `act` have the run."""
    found = []

    async def then():
        await meanwhile(found[0])

    answering = Answering(wait, then)
    limits = RateLimits(request_timeout_seconds=30)
    async with raw_server(answering) as server, open_gateway(limits, server.url) as real:
        run = await a_run_on_record(ledger, ThroughTo(real), folder, **changes)
        moments = [NOW]
        scale = replace(run.scale, clock=lambda: moments[-1])
        journal = Journal(ledger, run.reference.key, partial(scale.today, run.run_id))
        run = replace(run, scale=scale, journal=journal)
        found.append(run)
        run.gateway.moments = moments
        await read_jobs(run, Rows([{"job_id": "a"} | text_row("hello")]), None)
        await weigh(run, 9)
        admission = await admit(run, 9, may_defer=True)
        if act is not None:
            run.gateway.may_go_on.clear()
        sending = asyncio.ensure_future(send(run, admission))
        if act is not None:
            await asyncio.wait_for(answering.refused.wait(), SECONDS)
            await act(run, sending)
            run.gateway.may_go_on.set()
        await asyncio.wait_for(asyncio.wait([sending]), SECONDS)
        return server.requests


async def came_back(ledger):
    """Returns once the ledger has it that the attempt's first try was not billed."""
    async with asyncio.timeout(SECONDS):
        while all_rows(ledger, AttemptRow)[0].sent_at is not None:  # noqa: ASYNC110 - the ledger is what is asked
            await asyncio.sleep(0.01)


async def nothing(_run):
    pass


def the_attempt(ledger):
    [attempt] = all_rows(ledger, AttemptRow)
    return attempt.state, attempt.held_nano_usd


async def test_a_call_that_came_back_is_tried_again_and_paid_once(ledger, tmp_path):
    assert await a_night(ledger, tmp_path, nothing) == 2
    assert outcomes(ledger) == ["succeeded"]
    [attempt] = all_rows(ledger, AttemptRow)
    assert (attempt.tries, attempt.sent_at is None) == (2, False)


async def test_a_run_that_was_taken_over_while_a_call_waited_for_its_next_try_sends_it_no_more(
    ledger, tmp_path
):
    async def taken_over(run):
        await asyncio.to_thread(abandon, ledger, run.run_id)
        assert await asyncio.to_thread(runs.close_dead_runs, ledger) == [run.run_id]

    assert await a_night(ledger, tmp_path, taken_over) == 1
    # its first try was closed as perhaps billed, and the API's own word shows that it was not
    assert the_attempt(ledger) == ("failed", 0)
    assert_budgets_add_up(ledger)


async def test_a_run_that_is_taken_over_after_a_call_came_back_sends_it_no_more(ledger, tmp_path):
    async def taken_over(run, _sending):
        await came_back(ledger)
        abandon(ledger, run.run_id)
        assert runs.close_dead_runs(ledger) == [run.run_id]
        assert the_attempt(ledger) == ("failed", 0)

    assert await a_night(ledger, tmp_path, nothing, taken_over) == 1
    assert outcomes(ledger) == ["deferred"]
    assert_budgets_add_up(ledger)


async def test_a_run_that_stopped_while_a_call_waited_for_its_next_try_sends_it_no_more(ledger, tmp_path):
    async def stopped(run):
        run.halt.stop(Reason.PROVIDER_SPEND_LIMIT)

    assert await a_night(ledger, tmp_path, stopped) == 1
    assert the_attempt(ledger) == ("failed", 0)
    assert outcomes(ledger) == ["deferred"]


async def test_a_run_that_ends_while_a_call_waits_for_its_next_try_gives_its_money_back(ledger, tmp_path):
    async def interrupted(run, sending):
        await came_back(ledger)
        sending.cancel()
        await asyncio.wait([sending])
        runs.close_own_books(ledger, run.reference.key, review_unknown=True)

    assert await a_night(ledger, tmp_path, nothing, interrupted, wait="60") == 1
    assert the_attempt(ledger) == ("failed", 0)
    assert outcomes(ledger) == ["deferred"]
    assert_budgets_add_up(ledger)


async def test_a_call_that_waited_over_midnight_leaves_on_the_money_of_the_new_day(ledger, tmp_path):
    async def midnight(run):
        run.gateway.moments.append(NOW + timedelta(days=1))

    assert await a_night(ledger, tmp_path, midnight) == 2
    [attempt] = all_rows(ledger, AttemptRow)
    zone = policy().zone
    assert attempt.budget_day == (NOW + timedelta(days=1)).astimezone(zone).date().isoformat()
    assert_budgets_add_up(ledger)
