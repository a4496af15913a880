"""The simulator of one command, started before the command's own modules are imported, which takes longer."""

import atexit
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.errors import BadInput
from simulator.process import RunningSimulator, starting_simulator

#: where the simulator of a command writes what it billed, below the current folder
SIMULATED_LOG = Path("data/simulated/billed.jsonl")
#: those that nobody has asked for yet: what waits for each, and what ends it
_started: list[tuple[Callable[[], RunningSimulator], ExitStack]] = []


def start_early_simulator() -> None:
    """Start the simulator that a command with --simulate asks for; it ends with this process at the latest.

    Raises:
        BadInput: what it bills cannot be written down.
    """
    try:
        SIMULATED_LOG.parent.mkdir(parents=True, exist_ok=True)
        SIMULATED_LOG.open("a").close()
    except OSError as error:
        raise BadInput(
            f"The simulator writes down what it bills in {SIMULATED_LOG.absolute()}, which cannot be made or written "
            f"({error.strerror}). Call the command in a folder that can be written. Nothing was counted or sent."
        ) from error
    ends = ExitStack()
    _started.append((ends.enter_context(starting_simulator(SIMULATED_LOG)), ends))
    atexit.register(ends.close)


@contextmanager
def early_simulator() -> Iterator[RunningSimulator]:
    """The simulator of this command, ready, for as long as the block; where it was not started early, it is now.

    Raises:
        RuntimeError: it does not get ready.
    """
    if not _started:
        start_early_simulator()
    ready, ends = _started.pop()
    with ends:
        yield ready()
