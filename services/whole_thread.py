"""Work on a thread that is never left behind: who is cancelled while waiting for it waits until it has ended."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


async def on_whole_thread(
    function: Callable[Arguments, Found], *args: Arguments.args, **options: Arguments.kwargs
) -> Found:
    """What a function returns, called on a thread so that the event loop goes on meanwhile.

    A thread cannot be stopped. If it went on after its caller, it could still write into books that are being closed.

    Raises:
        asyncio.CancelledError: the caller was cancelled; the thread has ended.
    """
    working = asyncio.ensure_future(asyncio.to_thread(function, *args, **options))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            # cancelled again: it still has to end
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        if not working.cancelled():
            working.exception()  # seen; the cancellation is what is raised
        raise
