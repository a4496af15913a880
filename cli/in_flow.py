"""Running a flow in this process, and stopping it in good order."""

import asyncio
import inspect
import signal
from typing import Any


def result_of(flow: Any, *arguments: Any, **options: Any) -> Any:
    """What a flow returns.

    SIGTERM ends it as Ctrl-C does: nothing more is sent, and the books of the run are closed.

    Raises:
        BaseException: what the flow raised.
    """

    async def finished() -> Any:
        running = asyncio.ensure_future(flow(*arguments, **options, return_state=True))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
        state = await running
        found = state.result(raise_on_failure=False)
        return await found if inspect.isawaitable(found) else found

    try:
        result = asyncio.run(finished())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    if isinstance(result, BaseException):
        raise result
    return result
