"""Work on a thread that is never left behind."""

import asyncio
import threading

import pytest

from services.whole_thread import on_whole_thread


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_who_is_cancelled_waits_until_the_thread_has_ended(cancellations):
    started, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        started.set()
        may_end.wait(20)
        ended.set()

    waiting = asyncio.ensure_future(on_whole_thread(work))
    await asyncio.to_thread(started.wait, 20)
    for _ in range(cancellations):
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert not waiting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_what_it_returns_and_raises_comes_through():
    assert await on_whole_thread(lambda a, *, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        await on_whole_thread(lambda: 1 / 0)


async def test_an_error_of_the_thread_is_not_raised_instead_of_the_cancellation():
    started, may_end = threading.Event(), threading.Event()

    def fails():
        started.set()
        may_end.wait(20)
        raise ValueError

    waiting = asyncio.ensure_future(on_whole_thread(fails))
    await asyncio.to_thread(started.wait, 20)
    waiting.cancel()
    await asyncio.sleep(0.01)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
