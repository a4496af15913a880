"""What a loaded machine costs the turns that processes share: leases that take long, and processes that stand still.

The processes are the real ones on a clock that jumps. The server is the simulator's own bucket, which fills evenly and
holds a second's worth.
"""

import asyncio
import contextvars
import random
import types
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.lease_block import SECOND, late_for
from simulator.http.rate_limits import Bucket
from tests.jumping_clock import on_jumping_clock
from tests.strategies import examples
from tests.test_services.test_shared_turns import Account, Process

#: what counts, seconds: all have begun by then, and nobody stands still shortly before the end
BEGIN, LAST_STANDSTILL, END = 5, 50, 65
#: the longest way of a request to the server, seconds
WAY = 0.2

#: when a process stands still: from when, and for how long, seconds
_standstills = contextvars.ContextVar("standstills", default=())


@types.coroutine
def _stepping(work, standstills):
    """Run a coroutine whose steps wait while its process stands still."""
    step, given_up = work.send, None
    while True:
        now = asyncio.get_running_loop().time()
        while left := max((at + long - now for at, long in standstills if at <= now < at + long), default=0):
            yield from asyncio.sleep(left).__await__()
            now = asyncio.get_running_loop().time()
        try:
            waits_for = step(given_up)
        except StopIteration as end:
            return end.value
        step, given_up = work.send, None
        try:
            yield waits_for
        except asyncio.CancelledError as cancelled:
            step, given_up = work.throw, cancelled


def standing_still(loop, work, **options):
    """A task of the process in whose context it is made."""

    async def whole():
        return await _stepping(work, _standstills.get())

    return asyncio.Task(whole(), loop=loop, **options)


@dataclass(frozen=True)
class Load:
    """How loaded the machine is.

    Attributes:
        trip_seconds: the longest way of a lease to the ledger, and back.
        standstills: of each process.
    """

    trip_seconds: float
    standstills: list

    def lost_seconds(self, per_minute):
        """What standing still costs a process at most, all processes together: what was later than turns may be."""
        late = late_for(per_minute) / SECOND
        return sum(max(0.0, long - late) for spans in self.standstills for _, long in spans)


async def called(load, per_minute, seed=1):
    """What processes got that had more callers than turns at any time."""
    asyncio.get_running_loop().set_task_factory(standing_still)
    account = Account(load.trip_seconds, chance=random.Random(seed))
    for spans in load.standstills:
        _standstills.set(tuple(spans))
        Process(account, messages_per_minute=per_minute).call(per_minute // 8, answer_seconds=0.1)
    _standstills.set(())
    await asyncio.sleep(END)
    return account


def share_used(account, per_minute):
    return len(account.within(BEGIN, END)) / per_minute / ((END - BEGIN) / 60)


def refused(account, per_minute, seed):
    """How many of the requests the server refuses, if each is on its way for a while."""
    chance, now = random.Random(seed), 0.0
    arrivals = sorted(at + chance.uniform(0, WAY) for at, _ in account.granted)
    bucket = Bucket(per_minute, lambda: now)
    number = 0
    for now in arrivals:  # noqa: B007 the bucket's clock reads it
        number += bucket.take() is not None
    return number


moments = st.floats(0, LAST_STANDSTILL).map(lambda at: at + 0.0123)


def processes_standing_still(longest):
    spans = st.lists(st.tuples(moments, st.floats(0, longest)), max_size=3)
    return st.lists(spans, min_size=2, max_size=3)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("trip_seconds", [0.01, 0.3, 0.6])
@pytest.mark.parametrize("per_minute", [240, 1_200])
def test_however_long_a_lease_takes_nearly_all_turns_are_used(processes, trip_seconds, per_minute):
    account = on_jumping_clock(lambda: called(Load(trip_seconds, [()] * processes), per_minute))
    account.assert_no_minute_exceeds(requests=per_minute)
    assert share_used(account, per_minute) >= 0.97
    assert refused(account, per_minute, 1) == 0
    assert len(account.asks) <= 3 * processes * END


@settings(max_examples=examples(15), deadline=None)
@given(processes_standing_still(0.5), st.floats(0, 0.5), st.integers(240, 1_500), st.integers(0, 9))
def test_standing_still_for_half_a_second_costs_no_turn(standstills, trip_seconds, per_minute, seed):
    account = on_jumping_clock(lambda: called(Load(trip_seconds, standstills), per_minute, seed))
    account.assert_no_minute_exceeds(requests=per_minute)
    assert share_used(account, per_minute) >= 0.97
    assert refused(account, per_minute, seed) == 0


@settings(max_examples=examples(15), deadline=None)
@given(processes_standing_still(4), st.floats(0, 0.5), st.integers(120, 1_500), st.integers(0, 9))
def test_standing_still_for_longer_costs_at_most_what_the_server_loses_too(
    standstills, trip_seconds, per_minute, seed
):
    load = Load(trip_seconds, standstills)
    account = on_jumping_clock(lambda: called(load, per_minute, seed))
    account.assert_no_minute_exceeds(requests=per_minute)
    lost = load.lost_seconds(per_minute) / (END - BEGIN)
    assert share_used(account, per_minute) >= 0.97 - lost
    assert refused(account, per_minute, seed) == 0
