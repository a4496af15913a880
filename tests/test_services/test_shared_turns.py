"""Turns of one account that several processes share, on a clock that jumps: exact under any interleaving and any crash."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from rules.lease_block import Allowance, lease_block
from schemas.allowance_table import AllowanceRow
from schemas.errors import RunFailed
from schemas.policy_sections import RateLimits
from services.ledger import Ledger, allowances
from services.limiter import RATE_HEADER, CallWeight, message_limiter
from services.shared_turns import SharedTurns
from tests.jumping_clock import on_jumping_clock
from tests.strategies import examples

EPOCH = 1_700_000_000.25
LIGHT = CallWeight(1, 1)


@dataclass
class Account:
    """The row that processes share, and every turn that they got of it."""

    trip_seconds: float = 0.004
    ledger: Ledger | None = None
    allowance: Allowance = field(default_factory=Allowance)
    granted: list = field(default_factory=list)
    asks: list = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def now(self):
        milliseconds = int((EPOCH + asyncio.get_running_loop().time()) * 1_000)
        return milliseconds * 1_000

    async def lease(self, ask):
        await asyncio.sleep(self.chance.uniform(0, self.trip_seconds))
        if self.ledger is None:
            block = lease_block(self.allowance, ask, self.now())
        else:
            block = allowances.lease(self.ledger, "key", "messages", ask, lambda _: self.now())
        self.asks.append((asyncio.get_running_loop().time(), ask.holder))
        await asyncio.sleep(self.chance.uniform(0, self.trip_seconds))
        return block

    def within(self, start, end):
        return [weight for at, weight in self.granted if start <= at < end]

    def assert_no_minute_exceeds(self, requests=None, tokens=(None, None)):
        """What any minute saw; it begins with a turn."""
        most = [requests, *tokens]
        sums, end = [0, 0, 0], 0
        for start, (at, weight) in enumerate(self.granted):
            while end < len(self.granted) and self.granted[end][0] < at + 60:
                sums = [one + more for one, more in zip(sums, spent(self.granted[end][1]), strict=True)]
                end += 1
            for limit, used in zip(most, sums, strict=True):
                assert limit is None or used <= limit, (start, at, sums)
            sums = [one - less for one, less in zip(sums, spent(weight), strict=True)]


def spent(weight):
    return 1, weight.input_tokens, weight.output_tokens


class Process:
    """A process of its own, as far as the limiter goes."""

    def __init__(self, account, **limits):
        self.account = account
        self.limiter = message_limiter("claude-haiku-5-5", RateLimits(**limits))
        self.shared = self.limiter.shared = SharedTurns(self.limiter, account.lease)
        # the account's answers state the policy's own rates
        self.limiter.pace.heed(limits.get("messages_per_minute"), 0)
        self.callers = []

    def call(self, number, weight=LIGHT, answer_seconds=0.0, really=None):
        """So many callers, each of whom comes back as soon as it had its turn and its answer, which weighs `really`."""

        async def caller():
            while True:
                turn = await self.limiter.turn(weight)
                self.account.granted.append((asyncio.get_running_loop().time(), really or weight))
                await asyncio.sleep(answer_seconds)
                if really:
                    turn.weighed(really)

        self.callers += [asyncio.create_task(caller()) for _ in range(number)]
        return self

    async def kill(self):
        """End without a word."""
        tasks = [*self.callers, *self.shared._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.callers = []

    async def end(self):
        for task in self.callers:
            task.cancel()
        await asyncio.gather(*self.callers, return_exceptions=True)
        await self.shared.close()


@pytest.mark.parametrize("processes", [1, 3])
@pytest.mark.parametrize("per_minute", [30, 240, 2_400])
def test_processes_together_use_the_requests_of_a_minute_and_no_more(processes, per_minute):
    async def main():
        account = Account()
        for _ in range(processes):
            Process(account, messages_per_minute=per_minute).call(50)
        await asyncio.sleep(130)
        return account

    account = on_jumping_clock(main)
    account.assert_no_minute_exceeds(requests=per_minute)
    assert len(account.within(65, 125)) >= 0.97 * per_minute - 1


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("weight", [CallWeight(1_000, 10), CallWeight(7_000, 10), CallWeight(100, 400)])
def test_processes_together_use_the_tokens_of_a_minute_and_no_more(processes, weight):
    async def main():
        account = Account()
        limits = {
            "messages_per_minute": 6_000,
            "input_tokens_per_minute": 200_000,
            "output_tokens_per_minute": 40_000,
        }
        for _ in range(processes):
            Process(account, **limits).call(30, weight)
        await asyncio.sleep(200)
        return account

    account = on_jumping_clock(main)
    account.assert_no_minute_exceeds(6_000, (200_000, 40_000))
    most = min(200_000 // weight.input_tokens, 40_000 // weight.output_tokens)
    used = len(account.within(70, 190)) / 2
    assert used >= 0.97 * most - 1


# ---------------------------------------------------------------------------------------- any interleaving, any crash

weights = st.builds(CallWeight, st.integers(0, 900), st.integers(0, 90))
steps = st.lists(
    st.tuples(
        st.floats(0, 25),
        st.one_of(
            st.tuples(st.just("start"), st.integers(1, 40), weights, st.floats(0, 5)),
            st.tuples(st.just("kill"), st.integers(0, 3)),
            st.tuples(st.just("end"), st.integers(0, 3)),
            st.tuples(st.just("pause"), st.integers(0, 3), st.floats(0, 20)),
        ),
    ),
    min_size=2,
    max_size=10,
)
few_requests = st.integers(10, 400)


async def acted(account, limits, actions):
    """Processes that come, pause, end and die, each as an action says."""
    processes = []
    for pause, (action, *more) in actions:
        await asyncio.sleep(pause)
        if action == "start":
            number, weight, seconds = more
            less = CallWeight(weight.input_tokens // 2, weight.output_tokens // 3)
            processes.append(Process(account, **limits).call(number, weight, seconds, really=less))
        elif processes:
            one = processes[more[0] % len(processes)]
            if action == "pause":
                one.limiter.pause(more[1])
            elif action == "kill":
                await one.kill()
            else:
                await one.end()
    for one in processes:
        await one.end()


@settings(max_examples=examples(40))
@given(steps, few_requests, st.integers(1_000, 20_000), st.floats(0, 0.6))
def test_no_minute_exceeds_the_rates_whoever_comes_ends_or_dies(actions, requests, tokens, trip_seconds):
    limits = {
        "messages_per_minute": requests,
        "input_tokens_per_minute": tokens,
        "output_tokens_per_minute": tokens // 10,
    }

    async def main():
        account = Account(trip_seconds)
        await acted(account, limits, actions)
        return account

    on_jumping_clock(main).assert_no_minute_exceeds(requests, (tokens, tokens // 10))


@settings(max_examples=examples(10))
@given(actions=steps, requests=few_requests, tokens=st.integers(1_000, 20_000))
def test_the_same_holds_for_the_rows_of_a_ledger(ledger, actions, requests, tokens):
    limits = {"messages_per_minute": requests, "input_tokens_per_minute": tokens}

    async def main():
        with ledger.write() as connection:
            connection.execute(delete(AllowanceRow))
        account = Account(ledger=ledger)
        await acted(account, limits, actions)
        return account

    on_jumping_clock(main).assert_no_minute_exceeds(requests, (tokens, None))


@pytest.mark.parametrize(("requests", "callers"), [(10, 1), (50, 60), (400, 7), (2_000, 60)])
def test_a_process_alone_gets_the_whole_rate_with_hardly_more_than_a_transaction_a_second(requests, callers):
    async def main():
        account = Account()
        Process(account, messages_per_minute=requests).call(callers)
        await asyncio.sleep(130)
        return account

    account = on_jumping_clock(main)
    assert len(account.within(65, 125)) >= 0.97 * requests - 1
    assert len(account.asks) <= 150


def test_what_a_process_leaves_idle_another_one_uses():
    async def main():
        account = Account()
        quiet = Process(account, messages_per_minute=600).call(1, answer_seconds=10)
        Process(account, messages_per_minute=600).call(50)
        await asyncio.sleep(130)
        return account, quiet.shared._holder

    account, _ = on_jumping_clock(main)
    assert len(account.within(65, 125)) >= 0.97 * 600 - 1


def test_a_second_process_gets_its_share_within_a_few_seconds():
    async def main():
        account = Account()
        one = Process(account, messages_per_minute=600).call(50)
        await asyncio.sleep(30)
        weight = CallWeight(2, 2)
        Process(account, messages_per_minute=600).call(50, weight)
        await asyncio.sleep(60)
        await one.kill()
        await asyncio.sleep(60)
        return account, weight

    account, weight = on_jumping_clock(main)
    seconds = [at for at, each in account.granted if each == weight]
    assert seconds[0] < 33
    assert sum(40 <= at < 80 for at in seconds) == pytest.approx(200, abs=60)
    assert sum(105 <= at < 145 for at in seconds) >= 0.97 * 400 - 1


def test_a_pause_that_one_process_was_told_holds_for_all():
    async def main():
        account = Account()
        one = Process(account, messages_per_minute=600).call(20)
        Process(account, messages_per_minute=600).call(20)
        await asyncio.sleep(20)
        one.limiter.pause(15)
        await asyncio.sleep(30)
        return account

    account = on_jumping_clock(main)
    assert account.within(21.5, 34.9) == []
    assert len(account.within(35.2, 45)) > 80


def test_what_the_account_states_to_one_process_holds_for_all():
    async def main():
        account = Account()
        one = Process(account, messages_per_minute=600).call(20)
        other = Process(account, messages_per_minute=600).call(20)
        await asyncio.sleep(20)
        one.limiter.observe({RATE_HEADER: "60"})
        await asyncio.sleep(70)
        return account, other.limiter.per_minute[0]

    account, rate = on_jumping_clock(main)
    assert rate == 60
    assert len(account.within(22, 82)) <= 60


@pytest.mark.parametrize("processes", [1, 2])
def test_a_limit_of_tokens_below_the_policys_holds_as_soon_as_the_account_states_it(processes):
    async def main():
        account = Account()
        limits = {"messages_per_minute": 6_000, "input_tokens_per_minute": 1_000_000}
        all_of_them = [
            Process(account, **limits).call(10, CallWeight(100, 0), answer_seconds=0.1)
            for _ in range(processes)
        ]
        await asyncio.sleep(0.2)
        header = RATE_HEADER.replace("requests", "input-tokens")
        all_of_them[0].limiter.observe({header: "10000"}, answered=False)
        await asyncio.sleep(130)
        return account

    account = on_jumping_clock(main)
    assert sum(weight.input_tokens for weight in account.within(0, 60)) <= 11_000
    assert sum(weight.input_tokens for weight in account.within(65, 125)) == pytest.approx(9_950, abs=250)


def test_tokens_that_a_dead_process_held_come_back_after_a_minute():
    async def main():
        account = Account()
        limits = {"messages_per_minute": 6_000, "input_tokens_per_minute": 10_000}
        dead = Process(account, **limits).call(4, CallWeight(1_000, 0), answer_seconds=1)
        await asyncio.sleep(5)
        await dead.kill()
        Process(account, **limits).call(10, CallWeight(1_000, 0))
        await asyncio.sleep(150)
        return account

    account = on_jumping_clock(main)
    account.assert_no_minute_exceeds(None, (10_000, None))
    assert len(account.within(90, 150)) >= 9


def test_a_heavy_call_is_not_passed_by_the_light_ones_of_another_process_for_ever():
    async def main():
        account = Account()
        limits = {"messages_per_minute": 6_000, "input_tokens_per_minute": 10_000}
        Process(account, **limits).call(30, CallWeight(100, 0))
        await asyncio.sleep(10)
        heavy = CallWeight(9_000, 0)
        Process(account, **limits).call(1, heavy, answer_seconds=1_000)
        await asyncio.sleep(150)
        return [at for at, weight in account.granted if weight == heavy]

    [left] = on_jumping_clock(main)
    assert left < 140


async def test_who_needs_a_turn_hears_that_the_ledger_is_gone():
    async def gone(_ask):
        raise RunFailed("The ledger is gone.")

    limiter = message_limiter("claude-haiku-5-5", RateLimits())
    limiter.shared = SharedTurns(limiter, gone)
    for _ in range(2):
        with pytest.raises(RunFailed, match="gone"):
            await limiter.turn()
    await limiter.shared.close()
