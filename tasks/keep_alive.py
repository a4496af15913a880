"""Keep a run alive: renew its lease from a thread of its own, so that nothing that blocks the loop stops the beat."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import RunFailed
from schemas.outcome import Reason
from services.ledger import leases
from tasks.run import Run

log = logging.getLogger("weighbridge")


@contextmanager
def kept_alive(run: Run) -> Iterator[None]:
    """While inside, the lease of the run is renewed; a run that cannot renew it in time stops sending."""
    done = threading.Event()
    beating = threading.Thread(target=_beat, args=(run, done), name=f"lease of {run.run_id}", daemon=True)
    beating.start()
    try:
        yield
    finally:
        done.set()
        beating.join(timeout=5)


def _beat(run: Run, done: threading.Event) -> None:
    lease = leases.lease_seconds()
    last = _now()
    while not done.wait(min(lease / 5, 30)):
        try:
            owned = leases.renew(run.ledger, run.reference.key, run.tally.model_dump())
        except RunFailed as error:
            log.warning("The lease of %s could not be renewed: %s", run.run_id, error)
            owned = None
        if owned is False:
            run.halt.stop(Reason.TAKEN_OVER)
            return
        if owned:
            last = _now()
        elif _now() - last > lease / 2:
            # a guess, in favour of the money: somebody else may take the run over soon
            run.halt.stop(Reason.INTERRUPTED)


def _now() -> float:
    """Seconds on a clock that goes on while the machine sleeps, and that nobody can set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
