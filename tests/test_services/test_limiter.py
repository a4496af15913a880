"""The limiter, on a clock that jumps: order and counts without waiting."""

import asyncio
import selectors

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.limiter import RATE_HEADER, EndpointLimiter


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        waited = self._selector.select

        def jump(timeout=None):
            self.now += max(timeout or 0, 1e-6)  # as every real clock does, it always moves on
            return waited(0)

        self._selector.select = jump
        assert isinstance(self._selector, selectors.BaseSelector)

    def time(self):
        return self.now


def on_jumping_clock(main):
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main())


async def turns(limiter, number):
    """When each of so many callers that come at once gets its turn."""
    loop = asyncio.get_running_loop()
    moments = []

    async def caller():
        await limiter.turn()
        moments.append(loop.time())

    await asyncio.gather(*(caller() for _ in range(number)))
    return moments


@given(st.integers(1, 5_000), st.integers(2, 300))
def test_no_minute_sees_more_turns_than_the_rate(per_minute, callers):
    async def main():
        return await turns(EndpointLimiter(per_minute, 1_000), callers)

    moments = sorted(on_jumping_clock(main))
    assert len(moments) == callers
    for index, moment in enumerate(moments[per_minute:]):
        assert moment - moments[index] > 60 - 1e-6


def test_a_given_rate_is_not_overridden_by_the_accounts():
    async def main():
        limiter = EndpointLimiter(60, 1_000)
        for stated in ("6000", "1"):
            limiter.observe({RATE_HEADER: stated})
        return limiter.per_minute

    assert on_jumping_clock(main) == 60


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({RATE_HEADER: "4000"}, 4_000),
        ({RATE_HEADER: "10"}, 10),
        ({}, 1_000),
        ({RATE_HEADER: "0"}, 1_000),
        ({RATE_HEADER: "-5"}, 1_000),
        ({RATE_HEADER: "many"}, 1_000),
        ({RATE_HEADER: ""}, 1_000),
    ],
)
def test_a_rate_that_is_not_given_follows_the_account_once_it_says_so(headers, rate):
    async def main():
        limiter = EndpointLimiter(None, 1_000)
        limiter.observe(headers)
        return limiter.per_minute, await turns(limiter, min(3 * rate, 300))

    per_minute, moments = on_jumping_clock(main)
    assert per_minute == rate
    assert max(moments) == pytest.approx((len(moments) - max(1, rate / 61)) * 61 / rate, abs=0.01)


def test_a_pause_holds_every_caller_that_comes_during_it():
    async def main():
        limiter = EndpointLimiter(60_000, 1_000)
        limiter.pause(7)
        limiter.pause(3)  # a shorter one does not shorten it
        return await turns(limiter, 5)

    assert min(on_jumping_clock(main)) >= 7


def test_a_longer_pause_extends_the_one_under_way():
    async def main():
        limiter = EndpointLimiter(60_000, 1_000)
        limiter.pause(3)
        asyncio.get_running_loop().call_later(2, limiter.pause, 10)
        return await turns(limiter, 2)

    assert min(on_jumping_clock(main)) >= 12


def test_a_pause_holds_callers_that_were_waiting_for_their_turn_already():
    async def main():
        limiter = EndpointLimiter(60, 1_000)  # about one a second
        asyncio.get_running_loop().call_later(1.5, limiter.pause, 100)
        return await turns(limiter, 6)

    # the one at the head of the queue is at the bucket already; those behind it wait
    assert len([moment for moment in on_jumping_clock(main) if 1.5 < moment < 101.5]) <= 1


def test_a_new_rate_holds_for_callers_that_were_waiting_already():
    async def main():
        limiter = EndpointLimiter(None, 6_000)
        asyncio.get_running_loop().call_later(0.01, limiter.observe, {RATE_HEADER: "6"})
        return await turns(limiter, 110)

    assert max(on_jumping_clock(main)) > 60
