"""Long work in short slices, so that the calls of others are answered in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

#: longest work at a stretch, by intention; one item may take longer
SLICE_SECONDS = 0.005

T = TypeVar("T")


async def unhurried(items: Iterable[T]) -> AsyncIterator[T]:
    """The items one by one, with a pause for other calls whenever a slice of time is used up.

    Args:
        items: what is to be worked on.

    Yields:
        each item, in order.
    """
    until = time.monotonic() + SLICE_SECONDS
    for item in items:
        yield item
        if time.monotonic() >= until:
            await asyncio.sleep(0)
            until = time.monotonic() + SLICE_SECONDS
