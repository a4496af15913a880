"""`python -m bench.chaos`; what it does is in the docstring of the package."""

import argparse
import json
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Event, Lock

import bench.chaos
from bench.chaos.hosts import hosts
from bench.chaos.judgement import NANO, Findings
from bench.chaos.rounds import Ground, names_to_draw, play_round
from bench.chaos.scenarios import SCENARIOS
from tests.processes import clean_environment, prefect_server


def main() -> None:
    """Play rounds until there were as many kills as asked for, and print what they came to."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = arguments.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        environment = clean_environment(folder)
        with (
            prefect_server(folder, environment) as api,
            hosts(folder, environment | {"PREFECT_API_URL": api}) as places,
        ):
            total = _played(Ground(folder, api, places), arguments)
    figures = {"seed": arguments.seed, **vars(total)}
    figures["overspend_usd"] = f"{Decimal(figures.pop('overspend')) / NANO:f}"
    figures["scenarios"] = dict(sorted(total.scenarios.items()))
    print(json.dumps(figures | {"seconds": round(time.monotonic() - began)}))
    sys.exit(0 if total.is_well else 1)


def _played(ground: Ground, arguments: argparse.Namespace) -> Findings:
    """The findings of all rounds; each lane plays one after the other while kills are missing."""
    total = Findings()
    enough, writing = Event(), Lock()
    names = names_to_draw(ground, arguments.only)
    seeds = iter(range(arguments.seed, arguments.seed + max(1, 3 * arguments.kills)))

    def lane() -> None:
        for seed in seeds:
            found = _round(ground, seed, names)
            with writing:
                total.add(found)
                for sentence in found.wrong:
                    print(sentence, file=sys.stderr, flush=True)
                print(
                    f"{total.kills} of {arguments.kills} kills, {total.jobs} jobs",
                    file=sys.stderr,
                    flush=True,
                )
                if total.kills >= arguments.kills:
                    enough.set()
            if enough.is_set():
                return

    with ThreadPoolExecutor(arguments.workers) as pool:
        try:
            for played in [pool.submit(lane) for _ in range(arguments.workers)]:
                played.result()
        except KeyboardInterrupt:
            print("Interrupted: the rounds under way are played to their end.", file=sys.stderr, flush=True)
        finally:
            enough.set()
    return total


def _round(ground: Ground, seed: int, names: list[str]) -> Findings:
    """The findings of one round; one that could not be played is wrong, and the others go on."""
    try:
        return play_round(ground, seed, names)
    except Exception as error:  # noqa: BLE001 - it is on record in the findings
        return Findings(wrong=[f"seed {seed} was not played to its end: {type(error).__name__}: {error}"])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=bench.chaos.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(SCENARIOS), help="play this scenario in every round")
    parser.add_argument("--workers", type=int, default=2, help="rounds that are played at once")
    parser.add_argument("--keep", type=Path, help="keep the rounds' folders here")
    return parser.parse_args()


if __name__ == "__main__":
    main()
