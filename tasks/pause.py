"""The pause between two looks at something that takes its time."""

import asyncio

_FIRST_PAUSE = 0.5


class Pause:
    """A pause that grows from half a second to the policy's longest."""

    def __init__(self, longest: float) -> None:
        self._next = min(_FIRST_PAUSE, longest)
        self._longest = longest

    async def wait(self) -> None:
        await asyncio.sleep(self._next)
        self._next = min(self._next * 1.5, self._longest)
