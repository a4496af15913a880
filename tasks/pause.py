"""The pause between two looks at something that takes its time."""

import asyncio

_FIRST_PAUSE = 0.5


class Pause:
    """A pause that grows from half a second to the policy's longest."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.begin_again()

    def begin_again(self) -> None:
        """The next pause is a short one, as the first was."""
        self._next = min(_FIRST_PAUSE, self._longest)

    async def wait(self, at_most: float | None = None) -> None:
        """Wait, but at most this many seconds where a limit is given."""
        seconds = self._next if at_most is None else min(self._next, at_most)
        await asyncio.sleep(seconds)
        self._next = min(self._next * 1.5, self._longest)
