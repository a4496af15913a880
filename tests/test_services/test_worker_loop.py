"""The loop of a worker process: one for all that it is asked, whoever asks."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.worker_loop import on_kept_loop


async def where(_=None):
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


def test_all_threads_share_one_loop():
    with ThreadPoolExecutor(8) as threads:
        loops = set(threads.map(lambda _: on_kept_loop(where()), range(40)))
    assert len(loops) == 1


def test_work_of_two_callers_goes_on_side_by_side():
    met = asyncio.Barrier(2)

    async def meet():
        await asyncio.wait_for(met.wait(), 20)
        return True

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: on_kept_loop(meet()), range(2))) == [True, True]


def test_what_the_work_raises_is_raised():
    async def broken():
        raise KeyError("x")

    with pytest.raises(KeyError):
        on_kept_loop(broken())
