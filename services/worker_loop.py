"""The event loop of a worker process: one, in a thread of its own, for as long as the process lives.

Connections, limits and group commits belong to one loop, so whatever a worker is asked runs there.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from services.memory import give_back_freed_memory, share_freed_memory

Found = TypeVar("Found")


class _Kept:
    """The loop, once somebody needed it."""

    loop: asyncio.AbstractEventLoop | None = None
    making = threading.Lock()


def on_kept_loop(work: Coroutine[Any, Any, Found]) -> Found:
    """What a coroutine returns, run on the process's loop; the caller's thread waits."""
    return asyncio.run_coroutine_threadsafe(work, _kept_loop()).result()


def _kept_loop() -> asyncio.AbstractEventLoop:
    with _Kept.making:
        if _Kept.loop is None:
            share_freed_memory()
            give_back_freed_memory()
            _Kept.loop = asyncio.new_event_loop()
            threading.Thread(target=_Kept.loop.run_forever, name="loop of the worker", daemon=True).start()
        return _Kept.loop
