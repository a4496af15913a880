"""Running a flow in this process, and stopping it in good order."""

import asyncio
import inspect
import signal
from typing import Any

from schemas.errors import Interrupted

_EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def result_of(flow: Any, *arguments: Any, **options: Any) -> Any:
    """What a flow returns.

    SIGINT and SIGTERM end it in good order: nothing more is sent, and the books of the run are closed.

    Raises:
        Interrupted: one of the two came.
        BaseException: what the flow raised, or returned as the reason of its failure.
    """
    came: list[signal.Signals] = []

    async def finished() -> Any:
        loop = asyncio.get_running_loop()
        running = asyncio.ensure_future(flow(*arguments, **options, return_state=True))

        def stop(which: signal.Signals) -> None:
            came.append(which)
            running.cancel()

        for which in _EXIT_CODES:
            loop.add_signal_handler(which, stop, which)
        state = await running
        found = state.result(raise_on_failure=False)
        return await found if inspect.isawaitable(found) else found

    try:
        result = asyncio.run(finished())
    except BaseException:
        if came:
            raise Interrupted(_EXIT_CODES[came[0]]) from None
        raise
    if came:
        raise Interrupted(_EXIT_CODES[came[0]])
    if isinstance(result, BaseException):
        raise result
    return result
