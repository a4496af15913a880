"""What is done to the command in a round, by name."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.chaos.arena import LEASE_SECONDS, Arena
from bench.chaos.conditions import PROXY_FAULTS
from bench.chaos.hosts import Running
from bench.chaos.ledger_faults import restart_postgresql

SQLITE, POSTGRESQL = "sqlite", "postgresql"
BOTH_MODES = ("messages", "batches")


@dataclass(frozen=True)
class Scenario:
    """One kind of disturbance.

    Attributes:
        play: does it.
        weight: how often it is drawn, compared with others.
        modes: of which one is drawn.
        engines: of which one is drawn.
        faults: of the simulator, besides the usual ones: endpoint, kind, options.
        message_seconds: between which an answer's latency is drawn.
        in_flight: how many messages may be under way at once.
        needs_other_host: whether it is left out where there is no other host.
        takes_minutes: whether it is too long for a quick test.
        most_clock_shift: by how many seconds the API's clock is off at most.
    """

    play: Callable[[Arena], None]
    weight: int = 2
    modes: tuple[str, ...] = BOTH_MODES
    engines: tuple[str, ...] = (SQLITE,)
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    message_seconds: tuple[float, float] = (0.1, 0.5)
    processing_seconds: float = 1.0
    in_flight: int = 8
    needs_other_host: bool = False
    takes_minutes: bool = False
    most_clock_shift: int = 0


def killed(arena: Arena) -> None:
    """SIGKILL at random instants."""
    for _ in range(arena.rng.randint(4, 10)):
        arena.kill_once()


def due(arena: Arena) -> None:
    """SIGKILL at random instants of runs whose answers are due: before their batches are stopped, meanwhile and after."""
    for _ in range(arena.rng.randint(2, 5)):
        running = arena.run_at_work(policy="due")
        if arena.random_while(running, 10.0):
            arena.end_by(running, signal.SIGKILL)


def interrupted(arena: Arena) -> None:
    """SIGTERM and SIGINT at random instants."""
    for _ in range(arena.rng.randint(2, 4)):
        arena.kill_once(arena.rng.choice([signal.SIGTERM, signal.SIGINT]))


def other_host_collects(arena: Arena) -> None:
    """Another host collects while a run is alive here, as a schedule of every 15 minutes does."""
    running = arena.run_at_work()
    for _ in range(arena.rng.randint(1, 3)):
        arena.random_while(running, 1.0)
        arena.must_end(arena.collect(arena.other))
    _end_somehow(arena, running)


def other_host_runs(arena: Arena) -> None:
    """Another host runs over the same input while a run is alive here."""
    first = arena.run_at_work()
    arena.random_while(first, 1.0)
    second = arena.run_at_work(arena.other, policy="fast")
    arena.random_while(second)
    if arena.rng.random() < 0.5:
        arena.end_by(arena.rng.choice([first, second]), signal.SIGKILL)
    arena.must_end(first)
    arena.must_end(second)


def clock_of_ledger(arena: Arena) -> None:
    """The database's clock steps, so that the lease of a live run has ended, and somebody else comes."""
    running = arena.run_at_work()
    arena.random_while(running, 1.0)
    arena.expire_leases()
    if arena.rng.random() < 0.5:
        arena.must_end(arena.collect(arena.other))
    else:
        arena.must_end(arena.run(arena.other, policy="fast"))
    _end_somehow(arena, running)


def clock_of_api(arena: Arena) -> None:
    """The API's clock is off by hours or days, and creations of batches bring no answer."""
    for _ in range(arena.rng.randint(1, 3)):
        arena.kill_once()


def stopped(arena: Arena) -> None:
    """A run is suspended for longer than it counts as alive, and wakes up while another one is at work."""
    first = arena.run_at_work()
    arena.random_while(first)
    first.signal(signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + 1.5)
    # it cannot begin where the first one was stopped in the middle of a write
    host = arena.rng.choice([arena.here, arena.other])
    second = arena.run_at_work(host, policy="fast", seconds=4 * LEASE_SECONDS)
    arena.random_while(second, 1.0)
    first.signal(signal.SIGCONT)
    arena.must_end(first)
    arena.must_end(second)


def locked_briefly(arena: Arena) -> None:
    """Another program locks the ledger for some seconds, again and again."""
    running = arena.run_at_work()
    for _ in range(arena.rng.randint(1, 3)):
        arena.random_while(running, 0.5)
        arena.lock_ledger(arena.rng.uniform(0.5, 6))
    _end_somehow(arena, running)


def locked_for_minutes(arena: Arena) -> None:
    """Another program locks the ledger for two minutes, longer than a writer waits."""
    running = arena.run_at_work()
    arena.random_while(running, 0.5)
    arena.lock_ledger(120)
    arena.must_end(running)


def postgresql_killed(arena: Arena) -> None:
    """The ledger's server dies in the middle of a run and comes back after some seconds."""
    running = arena.run_at_work()
    for _ in range(arena.rng.randint(1, 2)):
        arena.random_while(running)
        restart_postgresql(arena.yard.ledger, seconds=arena.rng.choice([0.2, 2, 8]))
        arena.kills += 1
    _end_somehow(arena, running)


def proxy_pages(arena: Arena) -> None:
    """A middle box answers with its own page after the API has taken the request."""
    arena.must_end(arena.run_at_work())
    for _ in range(arena.rng.randint(0, 2)):
        arena.kill_once()


def other_workspace(arena: Arena) -> None:
    """Somebody collects, and perhaps runs, with the key of another workspace, which sees none of the batches."""
    running = arena.run_at_work()
    arena.random_while(running)
    arena.end_by(running, signal.SIGKILL)
    for _ in range(2):
        time.sleep(arena.rng.choice([0.2, LEASE_SECONDS + 1]))
        arena.must_end(arena.collect(key="sk-day"))
    if arena.rng.random() < 0.5:
        arena.must_end(arena.run(key="sk-day"))


def results_gone(arena: Arena) -> None:
    """The results folder disappears in mid-run, or cannot be written."""
    running = arena.run_at_work()
    arena.random_while(running, 1.0)
    arena.spoil_results()
    arena.must_end(running)
    arena.restore_results()


def _end_somehow(arena: Arena, running: Running) -> None:
    """Let a run end, or kill it."""
    if arena.rng.random() < 0.3:
        arena.random_while(running)
        arena.end_by(running, signal.SIGKILL)
    arena.must_end(running)


#: a run that is met by another one has most of its jobs still to send
SLOW = (0.4, 0.8)
FEW = 3
MORE_MESSAGES = ("messages", "messages", "batches")
SCENARIOS = {
    "killed": Scenario(killed, weight=8),
    "interrupted": Scenario(interrupted, weight=4),
    "other_host_collects": Scenario(
        other_host_collects,
        modes=MORE_MESSAGES,
        in_flight=FEW,
        engines=(SQLITE, POSTGRESQL),
        message_seconds=SLOW,
        processing_seconds=3,
        needs_other_host=True,
    ),
    "other_host_runs": Scenario(
        other_host_runs,
        modes=MORE_MESSAGES,
        in_flight=FEW,
        engines=(SQLITE, POSTGRESQL),
        message_seconds=SLOW,
        processing_seconds=3,
        needs_other_host=True,
    ),
    "clock_of_ledger": Scenario(
        clock_of_ledger, modes=MORE_MESSAGES, in_flight=FEW, message_seconds=SLOW, processing_seconds=3
    ),
    "clock_of_api": Scenario(
        clock_of_api, modes=("batches", "batches", "messages"), most_clock_shift=3 * 86_400
    ),
    "stopped": Scenario(
        stopped, modes=MORE_MESSAGES, in_flight=FEW, message_seconds=SLOW, processing_seconds=3
    ),
    "locked_briefly": Scenario(locked_briefly, modes=MORE_MESSAGES, in_flight=FEW, message_seconds=SLOW),
    "locked_for_minutes": Scenario(
        locked_for_minutes,
        weight=1,
        modes=MORE_MESSAGES,
        in_flight=FEW,
        message_seconds=SLOW,
        takes_minutes=True,
    ),
    "postgresql_killed": Scenario(
        postgresql_killed, engines=(POSTGRESQL,), modes=MORE_MESSAGES, in_flight=FEW, message_seconds=SLOW
    ),
    "proxy_pages": Scenario(proxy_pages, faults=PROXY_FAULTS),
    "other_workspace": Scenario(other_workspace, modes=("batches",), processing_seconds=3),
    "results_gone": Scenario(results_gone, modes=MORE_MESSAGES, in_flight=FEW, message_seconds=SLOW),
    "due": Scenario(
        due, weight=3, modes=("batches",), in_flight=FEW, message_seconds=SLOW, processing_seconds=15
    ),
}


def draw(rng: random.Random, names: list[str]) -> str:
    """The name of a scenario, by weight."""
    return rng.choices(names, weights=[SCENARIOS[name].weight for name in names])[0]
