"""One round: what the seed draws, the ledger and the simulator it needs, the scenario, and the judgement."""

import contextlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.chaos.arena import Arena, Drawn
from bench.chaos.conditions import plan_text
from bench.chaos.hosts import Host
from bench.chaos.judgement import Findings, judged
from bench.chaos.ledger_faults import own_postgresql
from bench.chaos.scenarios import POSTGRESQL, SCENARIOS, Scenario, draw
from tests.yards import Yard, open_yard


@dataclass(frozen=True)
class Ground:
    """What all rounds share.

    Attributes:
        folder: each round has its own below it.
        api: the address of the Prefect server.
        places: this host, and another one or None.
    """

    folder: Path
    api: str
    places: tuple[Host, Host | None]


def names_to_draw(ground: Ground, only: str | None) -> list[str]:
    """The scenarios of which each round draws one."""
    possible = [
        name for name, scenario in SCENARIOS.items() if ground.places[1] or not scenario.needs_other_host
    ]
    return [name for name in possible if only in (None, name)]


def play_round(ground: Ground, seed: int, names: list[str]) -> Findings:
    """Play the round of a seed.

    Args:
        ground: what it shares with the others.
        seed: decides what is drawn.
        names: the scenarios to draw from.
    """
    rng = random.Random(seed)
    name = draw(rng, names)
    scenario = SCENARIOS[name]
    drawn = Drawn(
        seed=seed,
        scenario=name,
        mode=rng.choice(scenario.modes),
        engine=rng.choice(scenario.engines),
        message_seconds=round(rng.uniform(*scenario.message_seconds), 2),
        in_flight=scenario.in_flight,
    )
    plan = plan_text(
        seed,
        scenario.faults,
        message_seconds=drawn.message_seconds,
        processing_seconds=scenario.processing_seconds,
        clock_shift=_clock_shift(rng, scenario),
    )
    folder = ground.folder / f"round-{seed}"
    folder.mkdir()
    yard = open_yard(folder, ground.api, ground.places[0].warm)
    with _ledger(yard, drawn.engine), yard.simulator(plan) as simulator:
        arena = Arena(yard, ground.places, drawn, simulator)
        with contextlib.closing(arena):
            scenario.play(arena)
            return judged(arena, arena.calm())


def _clock_shift(rng: random.Random, scenario: Scenario) -> int:
    most = scenario.most_clock_shift
    return rng.choice([-most, -most // 20, most // 20, most])


@contextmanager
def _ledger(yard: Yard, engine: str) -> Iterator[None]:
    """Give a yard the address of a ledger on an engine."""
    if engine != POSTGRESQL:
        yield
        return
    with own_postgresql() as url:
        yard.ledger = url
        yield
