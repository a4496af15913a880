"""An event loop that does not wait: its clock jumps to the next timer."""

import asyncio
import selectors


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        waited = self._selector.select

        def jump(timeout=None):
            self.now += max(timeout or 0, 1e-6)  # as every real clock does, it always moves on
            return waited(0)

        self._selector.select = jump
        assert isinstance(self._selector, selectors.BaseSelector)

    def time(self):
        return self.now


def on_jumping_clock(main):
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main())
